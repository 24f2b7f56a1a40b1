package core

import "testing"

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
