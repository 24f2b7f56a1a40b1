package policyfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// Mistake is one thing that is wrong with a file, with its place.
type Mistake struct {
	// File is the name that the file was read by.
	File string
	// Line and Column count from 1; a column is a character.
	Line, Column int
	// Path leads to the value, such as "policies.payments.retry". It is empty where the text is
	// no YAML.
	Path string
	// Text says what is wrong and, where that can be guessed, what was meant.
	Text string
}

// Error gives "file:line:column: path: text", which editors and terminals understand as a place.
func (m *Mistake) Error() string {
	if m.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", m.File, m.Line, m.Column, m.Path, m.Text)
}

// maxMistakes is how many mistakes of a file are told. Nobody reads more.
const maxMistakes = 100

// maxWord is the most bytes of a text of the file that a mistake repeats.
const maxWord = 200

// mistakes collects what is wrong with one file.
type mistakes struct {
	file string
	list []*Mistake
}

// add notes a mistake at a node.
func (ms *mistakes) add(at place, path, format string, args ...any) {
	ms.list = append(ms.list, &Mistake{
		File: ms.file, Line: at.line, Column: at.column, Path: words.Line(path, maxWord), Text: words.Line(fmt.Sprintf(format, args...), 4*maxWord),
	})
}

// err is all mistakes in the order of their places, each a [*Mistake]; nil without any.
func (ms *mistakes) err() error {
	if len(ms.list) == 0 {
		return nil
	}
	slices.SortStableFunc(ms.list, func(a, b *Mistake) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	var errs []error
	for i, m := range ms.list {
		if i == maxMistakes {
			errs = append(errs, fmt.Errorf("%s: and %d mistakes more", ms.file, len(ms.list)-maxMistakes))
			break
		}
		errs = append(errs, m)
	}
	return errors.Join(errs...)
}

// meant is "; did you mean X?" for the known name that is closest to what was written, and
// otherwise the list of the names that there are.
func meant(written string, known []string) string {
	if len(known) == 0 {
		return "; there are none"
	}
	if written == off && slices.Contains(known, "none") {
		return `; did you mean "none"?`
	}
	best, least := "", len(written)
	for _, k := range known {
		if d := distance(strings.ToLower(written), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best != "" && least <= max(1, min(len(written), len(best))/3) {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	sorted := slices.Sorted(slices.Values(known))
	return "; there are " + strings.Join(sorted, ", ")
}

// maxCompared is the longest name, in bytes, whose distance is worth knowing.
const maxCompared = 64

// distance is how many characters have to be added, removed, replaced or exchanged with their
// neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	if len(a) > maxCompared || len(b) > maxCompared {
		return max(len(a), len(b))
	}
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
