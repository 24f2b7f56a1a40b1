//go:build race

package sendhook_test

const raceEnabled = true
