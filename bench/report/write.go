package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Folder is where results go unless another folder is asked for, seen from the bench's. Next to it lie those that were
// committed, so that no run writes over them by mistake.
const Folder = "results/new"

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
	text, err := JSON(s)
	if err != nil {
		return err
	}
	errs := []error{
		os.WriteFile(filepath.Join(folder, "bench.json"), text, 0o644),
		os.WriteFile(filepath.Join(folder, "bench.md"), []byte(Markdown(&s)), 0o644),
		Plots(folder, &s),
	}
	_, err = fmt.Fprintf(show, "%s\nwritten to %s\n", Markdown(&s), folder)
	return errors.Join(append(errs, err)...)
}

// JSON is a value with a line for each entry of its lists of objects: a run is a line, so a file can be read and compared.
func JSON(v any) ([]byte, error) {
	flat, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	// Inside of a string the quote that ends these would have a backslash before it.
	flat = bytes.ReplaceAll(flat, []byte(`},{"`), []byte("},\n{\""))
	flat = bytes.ReplaceAll(flat, []byte(`:[{"`), []byte(":[\n{\""))
	return append(flat, '\n'), nil
}
