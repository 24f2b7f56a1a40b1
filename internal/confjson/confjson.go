// Package confjson reads and writes configuration structs as JSON in which a duration is
// text, "1.5s". encoding/json by itself knows durations as numbers of nanoseconds only, in
// which 3 for three seconds is an easy mistake.
//
// A configuration struct calls it in its UnmarshalJSON and MarshalJSON. Fields go by their
// json tags, as with encoding/json. An unknown member is an error: encoding/json does not
// tell an UnmarshalJSON whether the program asked for that, and a misspelt setting that is
// left out in silence is the worse mistake.
package confjson

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	ownDecoding  = []reflect.Type{reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()}
	ownEncoding  = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()}
)

// Unmarshal reads data into the struct that cfg points to. Members that are absent or null
// leave their fields as they are. It reports all mistakes at once, each by the name of its
// member.
func Unmarshal(data []byte, cfg any) error {
	return decodeObject(data, reflect.ValueOf(cfg).Elem())
}

// Marshal writes a struct. Fields that are zero, and so mean a default, are left out.
func Marshal(cfg any) ([]byte, error) {
	return encodeObject(reflect.ValueOf(cfg))
}

// member is a field of a struct by its name in JSON.
type member struct {
	name  string
	field int
}

// members are the fields of a struct that JSON has.
func members(t reflect.Type) []member {
	var out []member
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || name == "-":
			continue
		case name == "":
			name = f.Name
		}
		out = append(out, member{name, i})
	}
	return out
}

// mistakes are the errors of an object's members.
type mistakes []error

func (m mistakes) Error() string { return errors.Join(m...).Error() }

// Unwrap gives the single errors.
func (m mistakes) Unwrap() []error { return m }

// add notes the error of a member. Those of an inner object get the member's name each.
func (m *mistakes) add(name string, err error) {
	var inner mistakes
	if !errors.As(err, &inner) {
		inner = mistakes{err}
	}
	for _, e := range inner {
		*m = append(*m, fmt.Errorf("%s: %w", name, e))
	}
}

func decodeObject(data []byte, v reflect.Value) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
			return fmt.Errorf("%s does not fit: want an object", wrong.Value)
		}
		return err
	}
	var errs mistakes
	var known []string
	for _, m := range members(v.Type()) {
		known = append(known, m.name)
		var raws []json.RawMessage
		for name, raw := range given {
			if strings.EqualFold(name, m.name) {
				raws = append(raws, raw)
				delete(given, name)
			}
		}
		var err error
		switch {
		case len(raws) == 1:
			err = decode(raws[0], v.Field(m.field))
		case len(raws) > 1:
			err = errors.New("it is given twice, in upper and lower case")
		}
		if err != nil {
			errs.add(m.name, err)
		}
	}
	for name := range given {
		errs.add(name, fmt.Errorf("it is not known; there are %s", strings.Join(known, ", ")))
	}
	if len(errs) == 0 {
		return nil
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

func decode(raw json.RawMessage, v reflect.Value) error {
	switch t := v.Type(); {
	case string(raw) == "null":
		return nil
	case t == durationType:
		d, err := duration(raw)
		if err == nil {
			v.SetInt(int64(d))
		}
		return err
	case t.Kind() == reflect.Slice && t.Elem() == durationType:
		return decodeDurations(raw, v)
	case t.Kind() == reflect.Struct && !implements(reflect.PointerTo(t), ownDecoding):
		return decodeObject(raw, v)
	}
	return inWords(json.Unmarshal(raw, v.Addr().Interface()))
}

func decodeDurations(raw json.RawMessage, v reflect.Value) error {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return inWords(err)
	}
	out := make([]time.Duration, len(list))
	for i, text := range list {
		var err error
		if out[i], err = duration(text); err != nil {
			return err
		}
	}
	v.Set(reflect.ValueOf(out))
	return nil
}

func duration(raw json.RawMessage) (time.Duration, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return 0, fmt.Errorf(`%s is no duration: it has no unit; write it as text, such as "3s" or "500ms"`, raw)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf(`%q is no duration such as "3s" or "500ms"`, text)
	}
	return d, nil
}

// inWords says what is wrong with a value in the words of JSON.
func inWords(err error) error {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return fmt.Errorf("%s does not fit: want %s", wrong.Value, kindInWords(wrong.Type))
	}
	return err
}

func kindInWords(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Float64:
		return "a number"
	case t.ConvertibleTo(reflect.TypeFor[float64]()):
		return "a whole number of type " + t.String()
	}
	return t.String()
}

func encodeObject(v reflect.Value) ([]byte, error) {
	out := []byte{'{'}
	for _, m := range members(v.Type()) {
		f := v.Field(m.field)
		if f.IsZero() {
			continue
		}
		value, err := encode(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, name...)
		out = append(out, ':')
		out = append(out, value...)
	}
	return append(out, '}'), nil
}

func encode(v reflect.Value) ([]byte, error) {
	switch t := v.Type(); {
	case t == durationType:
		return json.Marshal(time.Duration(v.Int()).String())
	case t.Kind() == reflect.Slice && t.Elem() == durationType:
		texts := make([]string, v.Len())
		for i := range texts {
			texts[i] = time.Duration(v.Index(i).Int()).String()
		}
		return json.Marshal(texts)
	case t.Kind() == reflect.Struct && !implements(t, ownEncoding):
		return encodeObject(v)
	}
	return json.Marshal(v.Interface())
}

func implements(t reflect.Type, interfaces []reflect.Type) bool {
	return slices.ContainsFunc(interfaces, t.Implements)
}

// Sort is what a member of a configuration is written as.
type Sort string

// The sorts.
const (
	Duration  Sort = "duration" // text with a unit
	Durations Sort = "durations"
	Bool      Sort = "bool"
	Whole     Sort = "whole number"
	Number    Sort = "number"
	Text      Sort = "text"
	Texts     Sort = "texts"
	Word      Sort = "word" // one of a few
	Words     Sort = "words"
	Numbers   Sort = "numbers" // whole ones by names
	Object    Sort = "object"
	Other     Sort = "other"
)

// Member is a member of a configuration by its name in JSON.
type Member struct {
	Name string
	Sort Sort
	// Words are those that a word can be.
	Words []string
	// Below are the members of an object.
	Below []Member
}

// Members are those that [Unmarshal] knows of the struct that cfg points to.
func Members(cfg any) []Member { return membersOf(reflect.TypeOf(cfg).Elem()) }

func membersOf(t reflect.Type) []Member {
	var out []Member
	for _, m := range members(t) {
		f := t.Field(m.field).Type
		one := Member{Name: m.name, Sort: sortOf(f)}
		switch one.Sort {
		case Object:
			one.Below = membersOf(f)
		case Word:
			one.Words = wordsOf(f)
		case Words:
			one.Words = wordsOf(f.Elem())
		}
		out = append(out, one)
	}
	return out
}

func sortOf(t reflect.Type) Sort {
	switch k := t.Kind(); {
	case t == durationType:
		return Duration
	case k == reflect.Slice && t.Elem() == durationType:
		return Durations
	case isWord(t):
		return Word
	case k == reflect.Slice && isWord(t.Elem()):
		return Words
	case k == reflect.Slice && t.Elem().Kind() == reflect.String:
		return Texts
	case k == reflect.Map && t.Elem().Kind() == reflect.Int:
		return Numbers
	case implements(reflect.PointerTo(t), ownDecoding):
		return Other
	case k == reflect.Struct:
		return Object
	case k == reflect.Bool:
		return Bool
	case k == reflect.String:
		return Text
	case k == reflect.Float32, k == reflect.Float64:
		return Number
	case reflect.Int <= k && k <= reflect.Uint64:
		return Whole
	}
	return Other
}

// isWord reports whether a type is a number from 0 upwards that is written as a word.
func isWord(t reflect.Type) bool {
	return t.Kind() == reflect.Uint8 && t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) &&
		implements(reflect.PointerTo(t), ownDecoding)
}

// wordsOf are the words of a type, of which the last is followed by a number without one.
func wordsOf(t reflect.Type) []string {
	var out []string
	for n := range uint64(math.MaxUint8) {
		v := reflect.New(t).Elem()
		v.SetUint(n)
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			break
		}
		out = append(out, string(text))
	}
	return out
}
