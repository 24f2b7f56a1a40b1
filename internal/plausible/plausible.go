// Package plausible refuses settings that nobody can have meant. A time of 3 µs was written in
// another unit, one of 95 years was multiplied by its unit twice, and a limit of two thousand
// million limits nothing. The errors say what the value is, what is allowed, and what was
// probably meant; the name of the setting stands before them.
package plausible

import (
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// The usual bounds of times.
const (
	// Moment is the shortest time in which anything can be waited for over a network.
	Moment = time.Millisecond
	// Day is the longest time that a caller or a connection waits for something.
	Day = 24 * time.Hour
	// Year is the longest interval; a longer one was meant as "never".
	Year = 365 * Day
)

// farBeyond is how many times too long a time is that nobody can have meant.
const farBeyond = 100

// bare is above what is probably a plain number of another unit: 5 or 3000 without one.
const bare = 10 * time.Microsecond

// Time says what is wrong with a time, nil if it is from least to most.
func Time(d, least, most time.Duration) error {
	switch {
	case d < 0:
		return fmt.Errorf("is negative: %v", d)
	case d < least && (d == 0 || d >= bare):
		return fmt.Errorf("is %s, at least %s is needed", words.Time(d), words.Time(least))
	case d < least:
		return fmt.Errorf("is %v, at least %v is needed; a plain number counts nanoseconds, so %d ms is %d*time.Millisecond",
			d, least, int64(d), int64(d))
	case d > most && d/most >= farBeyond:
		return fmt.Errorf("is %s, at most %s is allowed; was it multiplied by its unit twice?", words.Time(d), words.Time(most))
	case d > most:
		return fmt.Errorf("is %s, at most %s is allowed", words.Time(d), words.Time(most))
	}
	return nil
}

// Named puts the name of a setting in front of what is wrong with it. It is nil for nil.
func Named(name string, wrong error) error {
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("%s %w", name, wrong)
}

// Number says what is wrong with a number, nil if it is from least to most. Hint says what the
// number does, or what was probably meant.
func Number[T ~int | ~int64](n, least, most T, hint string) error {
	switch {
	case n < 0:
		return fmt.Errorf("is negative: %d", n)
	case n < least:
		return fmt.Errorf("is %d, at least %d is needed; %s", n, least, hint)
	case n > most:
		return fmt.Errorf("is %d, at most %d is allowed; %s", n, most, hint)
	}
	return nil
}
