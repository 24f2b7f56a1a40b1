//go:build race

package forbid_test

const raceEnabled = true
