package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/liftoff-mq/liftoff/core"
)

// maxJSONLine leaves room for a largest body in which every byte is written as
// a six-byte escape, and for the fields beside it.
const maxJSONLine = 6*maxBody + 1<<20

// decoder makes the message of a line. It may keep the line.
type decoder func(line []byte) (*core.Message, error)

// textDecoder takes the line as the body; the rest is the template's.
func textDecoder(template core.Message) decoder {
	return func(line []byte) (*core.Message, error) {
		m := template
		m.Body = line
		return &m, nil
	}
}

// jsonMessage is a line of --format json.
type jsonMessage struct {
	Body        *string           `json:"body"`
	BodyBase64  []byte            `json:"bodyBase64"`
	Tag         *string           `json:"tag"`
	Keys        []string          `json:"keys"`
	Properties  map[string]string `json:"properties"`
	ShardingKey *string           `json:"shardingKey"`
	DelayLevel  *int              `json:"delayLevel"`
	DeliverAt   *time.Time        `json:"deliverAt"`
	Delay       *string           `json:"delay"`
	Priority    *int              `json:"priority"`
	LiteTopic   *string           `json:"liteTopic"`
	Flag        int32             `json:"flag"`
	NoWaitStore bool              `json:"noWaitStore"`
	// Failed is what --failed writes about the line, and Stored what "liftoff message get" says of
	// where the message was; they are not part of it.
	Failed json.RawMessage `json:"failed"`
	Stored json.RawMessage `json:"stored"`
}

// jsonDecoder takes the line as a JSON object. What it does not set is the
// template's; properties are joined, the line's own win.
func jsonDecoder(template core.Message) decoder {
	return func(line []byte) (*core.Message, error) {
		m, err := decodeJSON(template, line)
		if err != nil {
			return nil, unsendable(err)
		}
		return m, nil
	}
}

func decodeJSON(m core.Message, line []byte) (*core.Message, error) {
	// encoding/json would put U+FFFD in the place of both, and the message
	// would not be what the line says.
	if !utf8.Valid(line) {
		return nil, errors.New("JSON is not valid UTF-8")
	}
	if loneSurrogate.Match(escapes.ReplaceAll(line, nil)) {
		return nil, errors.New(`JSON has half a surrogate pair (\uD800 to \uDFFF); use bodyBase64 for bytes`)
	}
	var j jsonMessage
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return nil, describeJSON(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value on the line")
	}
	switch {
	case j.Body != nil && j.BodyBase64 != nil:
		return nil, errors.New("both body and bodyBase64 are given")
	case j.Body != nil:
		m.Body = []byte(*j.Body)
	default:
		m.Body = j.BodyBase64
	}
	if j.Tag != nil {
		m.Tag = *j.Tag
	}
	if j.Keys != nil {
		m.Keys = j.Keys
	}
	if len(j.Properties) > 0 {
		joined := maps.Clone(m.Properties)
		if joined == nil {
			joined = make(map[string]string, len(j.Properties))
		}
		maps.Copy(joined, j.Properties)
		m.Properties = joined
	}
	if j.ShardingKey != nil {
		m.ShardingKey = *j.ShardingKey
	}
	if j.Priority != nil {
		m.Priority = j.Priority
	}
	if j.LiteTopic != nil {
		m.LiteTopic = *j.LiteTopic
	}
	m.Flag, m.NoWaitStore = j.Flag, j.NoWaitStore
	return &m, j.time(&m)
}

// time sets when the message is delivered. A line that says it in one way leaves nothing of
// what the template says in another.
func (j *jsonMessage) time(m *core.Message) error {
	if j.DelayLevel == nil && j.DeliverAt == nil && j.Delay == nil {
		return nil
	}
	m.DelayLevel, m.DeliverAt, m.DeliverAfter = 0, time.Time{}, 0
	if j.DelayLevel != nil {
		m.DelayLevel = *j.DelayLevel
	}
	if j.DeliverAt != nil {
		m.DeliverAt = *j.DeliverAt
	}
	if j.Delay != nil {
		var err error
		if m.DeliverAfter, err = time.ParseDuration(*j.Delay); err != nil {
			return fmt.Errorf("JSON field delay is %q, want a time such as 10s or 1h30m", *j.Delay)
		}
	}
	return nil
}

var (
	// escapes are escaped backslashes and whole surrogate pairs.
	escapes       = regexp.MustCompile(`\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	loneSurrogate = regexp.MustCompile(`\\u[dD][89a-fA-F]`)
)

// describeJSON says what is wrong in the words of the line, not of Go.
func describeJSON(err error) error {
	var wrong *json.UnmarshalTypeError
	var when *time.ParseError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("JSON field %s is %s", wrong.Field, article(wrong.Value))
	case errors.As(err, &wrong):
		return fmt.Errorf("JSON is %s, want an object such as {\"body\":\"...\"}", article(wrong.Value))
	case errors.As(err, &when):
		return fmt.Errorf("JSON field deliverAt is %q, want a time such as 2030-01-31T08:00:00Z", when.Value)
	case errors.Is(err, io.EOF):
		return errors.New("line is empty, want a JSON object")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("JSON object does not end on the line")
	}
	return err
}

// article puts the article in front of a kind of JSON value.
func article(kind string) string {
	if strings.HasPrefix(kind, "array") || strings.HasPrefix(kind, "object") {
		return "an " + kind
	}
	return "a " + kind
}
