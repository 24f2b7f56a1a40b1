package confjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/internal/confjson"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config has a field of each sort that configurations have.
type config struct {
	Name   string          `json:"name"`
	Wait   time.Duration   `json:"wait"`
	Waits  []time.Duration `json:"waits"`
	Most   int64           `json:"most"`
	Part   float64         `json:"part"`
	On     bool            `json:"on"`
	Names  []string        `json:"names"`
	When   time.Time       `json:"when,omitempty"` // decodes itself
	Plain  table           `json:"plain"`          // is decoded field by field
	Own    inner           `json:"own"`            // has methods of its own
	Code   func()          `json:"-"`
	Bare   uint8
	hidden int
}

type table struct {
	Step time.Duration `json:"step"`
}

type inner struct {
	Wait time.Duration `json:"wait"`
	Most int64         `json:"most"`
	Bare uint8
}

func (i *inner) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, i) }
func (i inner) MarshalJSON() ([]byte, error)     { return confjson.Marshal(i) }

func TestThereAndBack(t *testing.T) {
	const text = `{"name":"a","wait":"1.5s","waits":["0s","-2h0m0s"],"most":9223372036854775807,"part":0.07,"on":true,"names":["x","y"],` +
		`"when":"2030-01-31T08:00:00Z","plain":{"step":"3ms"},"own":{"wait":"1ns","Bare":2},"Bare":1}`
	want := config{
		Name: "a", Wait: 1500 * time.Millisecond, Waits: []time.Duration{0, -2 * time.Hour}, Most: 1<<63 - 1, Part: 0.07, On: true,
		Names: []string{"x", "y"}, When: time.Date(2030, 1, 31, 8, 0, 0, 0, time.UTC),
		Plain: table{3 * time.Millisecond}, Own: inner{Wait: 1, Bare: 2}, Bare: 1,
	}
	var got config
	if err := confjson.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if back, err := confjson.Marshal(got); string(back) != text || err != nil {
		t.Errorf("got  %s, %v\nwant %s", back, err, text)
	}
	if zero, err := confjson.Marshal(config{}); string(zero) != "{}" || err != nil {
		t.Errorf("the zero value gives %s, %v", zero, err)
	}
}

// What is absent or null leaves the field as it is, and the case of names does not matter, as
// with encoding/json.
func TestAbsentNullAndCase(t *testing.T) {
	got := config{Name: "kept", Wait: 1, Most: 2, hidden: 3}
	if err := confjson.Unmarshal([]byte(`{"wait":null,"MOST":5,"own":null}`), &got); err != nil {
		t.Fatal(err)
	}
	if want := (config{Name: "kept", Wait: 1, Most: 5, hidden: 3}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMistakes(t *testing.T) {
	const unit = `is no duration: it has no unit; write it as text, such as "3s" or "500ms"`
	for _, tt := range []struct{ in, want string }{
		{`{"wait":3000}`, "wait: 3000 " + unit},
		{`{"wait":3000.5}`, "wait: 3000.5 " + unit},
		{`{"wait":"3000"}`, `wait: "3000" is no duration such as "3s" or "500ms"`},
		{`{"wait":"3 s"}`, `wait: "3 s" is no duration such as "3s" or "500ms"`},
		{`{"waits":["1s",2]}`, "waits: 2 " + unit},
		{`{"waits":"1s"}`, "waits: string does not fit: want a list"},
		{`{"plain":{"step":1}}`, "plain: step: 1 " + unit},
		{`{"part":"half"}`, "part: string does not fit: want a number"},
		{`{"plain":[]}`, "plain: array does not fit: want an object"},
		{`{"own":{"wait":1,"most":"a"},"on":1}`, "on: number does not fit: want true or false\nown: most: string does not fit: want a whole number of type int64\nown: wait: 1 " + unit},
		{`{"Bare":256}`, "Bare: number 256 does not fit: want a whole number of type uint8"},
		{`{"wait":"1s","Wait":"2s"}`, "wait: it is given twice, in upper and lower case"},
		{`{"name":1}`, "name: number does not fit: want text"},
		{`{"plain":{"stepp":"1s"}}`, "plain: stepp: it is not known; there are step"},
		{`{"Code":1}`, "Code: it is not known; there are name, wait, waits, most, part, on, names, when, plain, own, Bare"},
		{`"text"`, "string does not fit: want an object"},
		{`{`, "unexpected end of JSON input"},
	} {
		var c config
		if err := confjson.Unmarshal([]byte(tt.in), &c); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got\n%v\nwant\n%s", tt.in, err, tt.want)
		}
	}
}

// Through encoding/json, as programs use it, the mistakes keep their names.
func TestThroughEncodingJSON(t *testing.T) {
	var outer struct {
		Producer inner `json:"producer"`
	}
	err := json.Unmarshal([]byte(`{"producer":{"wait":1}}`), &outer)
	if err == nil || !strings.HasPrefix(err.Error(), "wait: 1 is no duration") {
		t.Errorf("got %v", err)
	}
	if _, err := json.Marshal(outer); err != nil {
		t.Error(err)
	}
}

// Whatever is read is written so that it reads as the same.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"name":"a","wait":"1.5s","waits":["0s"],"own":{"wait":"1ns"},"when":"2030-01-31T08:00:00Z"}`))
	f.Add([]byte(`{"wait":1,"plain":{"step":null},"x":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second config
		if confjson.Unmarshal(data, &first) != nil {
			return
		}
		text, err := confjson.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := confjson.Unmarshal(text, &second); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if again, err := confjson.Marshal(second); string(again) != string(text) || err != nil {
			t.Fatalf("got %s, %v, want %s", again, err, text)
		}
	})
}

// grade is an enum, as configurations have them.
type grade uint8

func (g grade) MarshalText() ([]byte, error) {
	if int(g) >= len(grades) {
		return nil, errors.New("unknown")
	}
	return []byte(grades[g]), nil
}

func (g *grade) UnmarshalText(text []byte) error {
	*g = grade(max(0, slices.Index(grades, string(text))))
	return nil
}

var grades = []string{"good", "bad"}

// Members say what each member is written as.
func TestMembers(t *testing.T) {
	type more struct {
		Ratio   float64        `json:"ratio"`
		Grade   grade          `json:"grade"`
		Grades  []grade        `json:"grades"`
		Weights map[string]int `json:"weights"`
		Any     any            `json:"any"`
	}
	var lines []string
	var say func(indent string, list []confjson.Member)
	say = func(indent string, list []confjson.Member) {
		for _, m := range list {
			lines = append(lines, strings.TrimRight(fmt.Sprintf("%s%s: %s %s", indent, m.Name, m.Sort, strings.Join(m.Words, " ")), " "))
			say(indent+"  ", m.Below)
		}
	}
	say("", confjson.Members(new(config)))
	say("", confjson.Members(new(more)))
	want := `name: text
wait: duration
waits: durations
most: whole number
part: number
on: bool
names: texts
when: other
plain: object
  step: duration
own: other
Bare: whole number
ratio: number
grade: word good bad
grades: words good bad
weights: numbers
any: other`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
