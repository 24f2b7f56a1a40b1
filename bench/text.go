package main

import (
	"fmt"
	"math/rand/v2"
	"os"
)

// textSize is the size of the bodies that compress.
const textSize = 16 << 10

// writeText writes a body as applications send it - orders in JSON, of which zlib takes away about three quarters -,
// the same on every run.
func writeText(path string) error {
	r := rand.New(rand.NewPCG(5, 3))
	names := []string{"aluminium", "bracket", "cable", "distributor", "engine", "filter", "gasket", "hinge", "injector", "jack"}
	var b []byte
	for len(b) < textSize {
		b = fmt.Appendf(b, `{"order":%d,"customer":"%08x","item":"%s %s","quantity":%d,"price":%d.%02d,"paid":%t}`+"\n",
			r.IntN(1e9), r.Uint32(), names[r.IntN(len(names))], names[r.IntN(len(names))], 1+r.IntN(20), r.IntN(500), r.IntN(100), r.IntN(2) == 0)
	}
	return os.WriteFile(path, b[:textSize], 0o644)
}
