//go:build race

package accumulate_test

const raceEnabled = true
