//go:build !race

// Package race says whether a program runs under the race detector, for tests that
// count allocations or take long: the detector allocates by itself and is slow.
package race

// Enabled reports whether the race detector is on.
const Enabled = false
