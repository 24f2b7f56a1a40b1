package remoting

import "testing"

func TestOffsetIDs(t *testing.T) {
	for _, tt := range []struct {
		joined string
		even   bool
		want   []string
	}{
		{"A,B,C", true, []string{"A", "B", "C"}},
		{"AA,BB", true, []string{"AA", "BB"}},
		{"AA,B,CCC", false, []string{"AA", "B", "CCC"}},
		{"AA,B,C,D,EE", false, []string{"AA", "B", "C", "D", "EE"}},
		{"AA,B,C", false, []string{"AA", "B", "C"}},
		{"A,BB,", false, []string{"A", "BB", ""}},
		{",A", false, []string{"", "A"}},
		{"AAA,,BBB", false, []string{"AAA", "", "BBB"}},
		{",,", false, []string{"", "", ""}},
	} {
		find := unevenID
		if even(tt.joined) {
			find = evenID
		}
		if even(tt.joined) != tt.even {
			t.Errorf("even(%q) = %v", tt.joined, !tt.even)
		}
		for i, want := range tt.want {
			if got := find(tt.joined, i); got != want {
				t.Errorf("%q: id %d is %q, want %q", tt.joined, i, got, want)
			}
		}
	}
}
