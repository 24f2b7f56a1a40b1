package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Session is everything one call of the bench found out.
type Session struct {
	Taken   time.Time         `json:"taken"`
	Machine string            `json:"machine"`
	Limits  Limits            `json:"limits"`
	WindowS float64           `json:"windowSeconds"`
	Titles  map[string]string `json:"titles"` // of the cells
	Runs    []Run             `json:"runs"`
	// Summaries are filled in by Write.
	Summaries []Summary `json:"summaries"`
}

// Write writes bench.json, bench.md and the plots into a folder, and the table to show.
func Write(folder string, s Session, show io.Writer) error {
	s.Summaries = Summarize(s.Runs)
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	errs := []error{
		os.WriteFile(filepath.Join(folder, "bench.json"), append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(folder, "bench.md"), []byte(Markdown(&s)), 0o644),
		Plots(folder, &s),
	}
	_, err = fmt.Fprintf(show, "%s\nwritten to %s\n", Markdown(&s), folder)
	return errors.Join(append(errs, err)...)
}
