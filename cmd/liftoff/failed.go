package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
	"unicode/utf8"

	"github.com/liftoff-mq/liftoff/core"
)

// failedLines is the file of --failed. A nil *failedLines keeps nothing. It is not safe for
// concurrent use.
type failedLines struct {
	file *os.File
	kept int
}

// newFailedLines makes the file. One that has something in it stays as it is: it may be all
// that is left of the lines of an earlier run.
func newFailedLines(path string) (*failedLines, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--failed: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		err = errors.New("the file is not empty: the lines in it may still have to be sent")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--failed %s: %w", path, err), f.Close())
	}
	return &failedLines{file: f}, nil
}

// keptLine is a message as a line of --format json, with why it failed or where it was.
type keptLine struct {
	Body        *string           `json:"body,omitempty"`
	BodyBase64  []byte            `json:"bodyBase64,omitempty"`
	Tag         string            `json:"tag,omitempty"`
	Keys        []string          `json:"keys,omitempty"`
	Properties  map[string]string `json:"properties,omitempty"`
	ShardingKey string            `json:"shardingKey,omitempty"`
	DelayLevel  int               `json:"delayLevel,omitempty"`
	DeliverAt   *time.Time        `json:"deliverAt,omitempty"`
	Delay       string            `json:"delay,omitempty"`
	Priority    *int              `json:"priority,omitempty"`
	LiteTopic   string            `json:"liteTopic,omitempty"`
	Flag        int32             `json:"flag,omitempty"`
	NoWaitStore bool              `json:"noWaitStore,omitempty"`
	Failed      *failedLine       `json:"failed,omitempty"`
	Stored      *storedLine       `json:"stored,omitempty"`
}

// keep writes a line that failed, if there is a message in it that could be sent again. Each
// line is written at once: the process may be killed.
func (f *failedLines) keep(o outcome) error {
	m := o.message
	if f == nil || m == nil || core.ClassOf(o.err) == core.ClassInvalid {
		return nil
	}
	why := newFailedLine(o.line, o.err)
	k := keptLine{
		Tag: m.Tag, Keys: m.Keys, Properties: m.Properties, ShardingKey: m.ShardingKey, DelayLevel: m.DelayLevel,
		Priority: m.Priority, LiteTopic: m.LiteTopic, Flag: m.Flag, NoWaitStore: m.NoWaitStore, Failed: &why,
	}
	k.setBody(m.Body)
	if !m.DeliverAt.IsZero() {
		k.DeliverAt = &m.DeliverAt
	}
	if m.DeliverAfter != 0 {
		k.Delay = m.DeliverAfter.String()
	}
	text, err := json.Marshal(k)
	if err == nil {
		_, err = f.file.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep line %d: %w", o.line, err)
	}
	f.kept++
	return nil
}

// setBody sets the body as text if it is one.
func (k *keptLine) setBody(body []byte) {
	if text := string(body); utf8.ValidString(text) {
		k.Body = &text
	} else {
		k.BodyBase64 = body
	}
}

// summary says how to send the lines again.
func (f *failedLines) summary(failed int) string {
	switch {
	case f == nil || failed == 0:
		return ""
	case f.kept == 0:
		return "  none of them can be sent again as it is\n"
	default:
		return fmt.Sprintf("  %d of them are in %s; the same command with --format json --file %[2]s and another file for --failed sends them again\n", f.kept, f.file.Name())
	}
}

// close ends the file. Where nothing was kept it is there and empty.
func (f *failedLines) close() error {
	if f == nil {
		return nil
	}
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("--failed: %w", err)
	}
	return nil
}
