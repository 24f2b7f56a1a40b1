package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/words"
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

// jsonMessage is a line of --format json. What is null is not there.
type jsonMessage struct {
	body        *string
	noBody      bool // the line has a body, which is null
	bodyBase64  []byte
	tag         *string
	keys        []string
	properties  properties
	shardingKey *string
	delayLevel  *int
	deliverAt   *time.Time
	delay       *string
	priority    *int
	liteTopic   *string
	flag        int32
	noWaitStore bool
	// failed is what --failed writes about the line, and stored what "liftoff message get" says of
	// where the message was; they are not part of it.
	failed json.RawMessage
	stored json.RawMessage
}

// jsonField is where the value of a name goes.
type jsonField struct {
	name string
	into any
}

func (j *jsonMessage) fields() []jsonField {
	return []jsonField{
		{"body", &j.body},
		{"bodyBase64", &j.bodyBase64},
		{"tag", &j.tag},
		{"keys", &j.keys},
		{"properties", &j.properties},
		{"shardingKey", &j.shardingKey},
		{"delayLevel", &j.delayLevel},
		{"deliverAt", &j.deliverAt},
		{"delay", &j.delay},
		{"priority", &j.priority},
		{"liteTopic", &j.liteTopic},
		{"flag", &j.flag},
		{"noWaitStore", &j.noWaitStore},
		{"failed", &j.failed},
		{"stored", &j.stored},
	}
}

// wanted is what a field can be.
func wanted(field any) string {
	switch field.(type) {
	case *[]string:
		return "a list of strings"
	case **int:
		return "a whole number"
	case *int32:
		return "a whole number of 32 bits"
	case *bool:
		return "true or false"
	}
	return "a string"
}

// properties are a message's, each of which is given once.
type properties map[string]string

// UnmarshalJSON reads the object.
func (p *properties) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	*p = properties{}
	err := eachName(json.NewDecoder(bytes.NewReader(text)), func(dec *json.Decoder, name string) error {
		var value *string
		if err := dec.Decode(&value); err != nil || value == nil {
			return fmt.Errorf("%s is no string", words.Quote(name))
		}
		(*p)[name] = *value
		return nil
	})
	if wrong := (*notObject)(nil); errors.As(err, &wrong) {
		return fmt.Errorf("it is %s, want an object of strings", wrong.kind)
	}
	return err
}

// notObject is JSON that is something else.
type notObject struct{ kind string }

func (e *notObject) Error() string { return "JSON is " + e.kind + ", want an object" }

// eachName reads an object. Do reads the value of a name.
func eachName(dec *json.Decoder, do func(dec *json.Decoder, name string) error) error {
	first, err := dec.Token()
	if err != nil {
		return err
	}
	if first != json.Delim('{') {
		return &notObject{kindOf(first)}
	}
	seen := map[string]bool{}
	for {
		token, err := dec.Token()
		if err != nil {
			return withinObject(err)
		}
		name, more := token.(string)
		if !more {
			return nil
		}
		if seen[name] {
			return fmt.Errorf("JSON field %s is there twice", words.Quote(name))
		}
		seen[name] = true
		if err := do(dec, name); err != nil {
			return withinObject(err)
		}
	}
}

// withinObject is an error that cannot be the end of everything.
func withinObject(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// kindOf says what begins with a token.
func kindOf(token json.Token) string {
	switch token.(type) {
	case json.Delim:
		return "an array"
	case string:
		return "a string"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	}
	return "null"
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
	if err := eachName(dec, j.decode); err != nil {
		return nil, describeJSON(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value on the line")
	}
	switch {
	case j.body == nil && j.bodyBase64 == nil && j.noBody:
		return nil, errors.New("JSON field body is null, want a string")
	case j.body != nil && j.bodyBase64 != nil:
		return nil, errors.New("both body and bodyBase64 are given")
	case j.body != nil:
		m.Body = []byte(*j.body)
	default:
		m.Body = j.bodyBase64
	}
	if j.tag != nil {
		m.Tag = *j.tag
	}
	if j.keys != nil {
		m.Keys = j.keys
	}
	if len(j.properties) > 0 {
		joined := maps.Clone(m.Properties)
		if joined == nil {
			joined = make(map[string]string, len(j.properties))
		}
		maps.Copy(joined, j.properties)
		m.Properties = joined
	}
	if j.shardingKey != nil {
		m.ShardingKey = *j.shardingKey
	}
	if j.priority != nil {
		m.Priority = j.priority
	}
	if j.liteTopic != nil {
		m.LiteTopic = *j.liteTopic
	}
	m.Flag, m.NoWaitStore = j.flag, j.noWaitStore
	return &m, j.time(&m)
}

// time sets when the message is delivered. A line that says it in one way leaves nothing of
// what the template says in another.
func (j *jsonMessage) time(m *core.Message) error {
	if j.delayLevel == nil && j.deliverAt == nil && j.delay == nil {
		return nil
	}
	m.DelayLevel, m.DeliverAt, m.DeliverAfter = 0, time.Time{}, 0
	if j.delayLevel != nil {
		m.DelayLevel = *j.delayLevel
	}
	if j.deliverAt != nil {
		m.DeliverAt = *j.deliverAt
	}
	if j.delay != nil {
		var err error
		if m.DeliverAfter, err = time.ParseDuration(*j.delay); err != nil {
			return fmt.Errorf("JSON field delay is %q, want a time such as 10s or 1h30m", *j.delay)
		}
	}
	return nil
}

var (
	// escapes are escaped backslashes and whole surrogate pairs.
	escapes       = regexp.MustCompile(`\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	loneSurrogate = regexp.MustCompile(`\\u[dD][89a-fA-F]`)
)

// decode reads the value of a name.
func (j *jsonMessage) decode(dec *json.Decoder, name string) error {
	hint := ""
	for _, f := range j.fields() {
		if f.name == name {
			err := f.decode(dec)
			j.noBody = j.noBody || name == "body" && j.body == nil
			return err
		}
		if strings.EqualFold(f.name, name) {
			hint = ", want " + f.name
		}
	}
	return fmt.Errorf("JSON field %s is not known%s", words.Quote(name), hint)
}

func (f jsonField) decode(dec *json.Decoder) error {
	err := dec.Decode(f.into)
	var wrong *json.UnmarshalTypeError
	var when *time.ParseError
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(*json.SyntaxError)):
		return err
	case errors.As(err, &wrong):
		is := "is"
		if _, list := f.into.(*[]string); list && wrong.Type.Kind() == reflect.String {
			is = "has"
		}
		return fmt.Errorf("JSON field %s %s %s, want %s", f.name, is, article(wrong.Value), wanted(f.into))
	case errors.As(err, &when):
		return fmt.Errorf("JSON field %s is %s, want a time such as 2030-01-31T08:00:00Z", f.name, words.Quote(strings.Trim(when.Value, `"`)))
	case f.name == "deliverAt": // package time speaks of a method of its own
		return fmt.Errorf("JSON field %s is no string, want a time such as 2030-01-31T08:00:00Z", f.name)
	}
	return fmt.Errorf("JSON field %s: %w", f.name, err)
}

// describeJSON says what is wrong in the words of the line, not of Go.
func describeJSON(err error) error {
	switch {
	case errors.As(err, new(*notObject)):
		return fmt.Errorf("%w such as {\"body\":\"...\"}", err)
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
