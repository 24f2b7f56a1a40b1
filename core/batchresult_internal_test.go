package core

import "testing"

func TestSplitOffsetIDs(t *testing.T) {
	for _, tt := range []struct {
		joined string
		n      int
		each   int
		want   []string // nil: nobody's
	}{
		{"A,B,C", 3, 1, []string{"A", "B", "C"}},
		{"AA,BB", 2, 2, []string{"AA", "BB"}},
		{"AA,B,CCC", 3, 0, []string{"AA", "B", "CCC"}},
		{"A,BB,", 3, 0, []string{"A", "BB", ""}},
		{",A", 2, 0, []string{"", "A"}},
		{"AAA,,BBB", 3, 0, []string{"AAA", "", "BBB"}},
		{",,", 3, 0, []string{"", "", ""}},
		{"A", 1, 0, nil},
		{"A", 2, 0, nil},
		{"A,B,C", 2, 0, nil},
		{"", 2, 0, nil},
	} {
		ids := splitOffsetIDs(tt.joined, tt.n)
		if named := ids.joined != ""; named != (tt.want != nil) || ids.each != tt.each {
			t.Errorf("%q for %d: %+v", tt.joined, tt.n, ids)
		}
		for i, want := range tt.want {
			if got := ids.at(i); got != want {
				t.Errorf("%q: id %d is %q, want %q", tt.joined, i, got, want)
			}
		}
	}
}

func TestBatchResultBounds(t *testing.T) {
	b := BatchResult{n: 2}
	for _, i := range []int{-1, 2} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("At(%d) did not panic", i)
				}
			}()
			b.At(i)
		}()
	}
}
