package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

func TestTextLine(t *testing.T) {
	template := core.Message{Topic: "t", ShardingKey: "flag", Tag: "paid", Keys: []string{"k"}}
	m, err := textDecoder(template)([]byte(`{"body":"not json here"}`))
	if err != nil || string(m.Body) != `{"body":"not json here"}` || m.Topic != "t" || m.Tag != "paid" {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestJSONLine(t *testing.T) {
	template := core.Message{
		Topic: "t", Tag: "flag-tag", Keys: []string{"flag-key"}, DelayLevel: 3,
		Properties: map[string]string{"a": "flag", "b": "flag"},
	}
	with := func(change func(*core.Message)) core.Message {
		m := template
		change(&m)
		return m
	}
	tests := []struct {
		name, line string
		want       core.Message
	}{
		{"the flags fill what is not there", `{"body":"x"}`, with(func(m *core.Message) { m.Body = []byte("x") })},
		{
			"everything", ` {"body":"x","tag":"","keys":["1","2"],"properties":{"b":"line","c":"line"},
			"shardingKey":"s","delayLevel":0,"deliverAt":"2030-01-02T03:04:05.006Z","flag":-7,"noWaitStore":true} `,
			core.Message{
				Topic: "t", Body: []byte("x"), Keys: []string{"1", "2"},
				Properties:  map[string]string{"a": "flag", "b": "line", "c": "line"},
				ShardingKey: "s", DeliverAt: time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.UTC), Flag: -7, NoWaitStore: true,
			},
		},
		{"a delay instead of the level", `{"body":"x","delay":"1m30s"}`, with(func(m *core.Message) {
			m.Body, m.DelayLevel, m.DeliverAfter = []byte("x"), 0, 90*time.Second
		})},
		{"types of 5.4 and 5.5", `{"body":"x","delayLevel":0,"priority":0,"liteTopic":"chat"}`, with(func(m *core.Message) {
			m.Body, m.DelayLevel, m.Priority, m.LiteTopic = []byte("x"), 0, new(0), "chat"
		})},
		{"no keys at all", `{"body":"x","keys":[]}`, with(func(m *core.Message) { m.Body, m.Keys = []byte("x"), []string{} })},
		{"bytes", `{"bodyBase64":"/wAB"}`, with(func(m *core.Message) { m.Body = []byte{0xff, 0, 1} })},
		{"escapes", `{"body":"a\nb\u0000\ud83d\ude80\\ud800"}`, with(func(m *core.Message) { m.Body = []byte("a\nb\x00🚀\\ud800") })},
		{"null is not there", `{"body":null,"bodyBase64":"eA==","tag":null,"keys":null,"properties":null,"deliverAt":null,"flag":null}`, with(func(m *core.Message) { m.Body = []byte("x") })},
		{"no body is the producer's business", `{"tag":"x"}`, with(func(m *core.Message) { m.Tag = "x" })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := jsonDecoder(template)([]byte(tt.line))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*m, tt.want) {
				t.Errorf("got\n%+v, want\n%+v", *m, tt.want)
			}
		})
	}
	if len(template.Properties) != 2 || template.Properties["b"] != "flag" {
		t.Errorf("a line changed the template's properties: %v", template.Properties)
	}
}

func TestJSONLineErrors(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"empty", "", "line is empty"},
		{"blank", "  ", "line is empty"},
		{"text", "hello", "invalid character 'h'"},
		{"string", `"hello"`, "JSON is a string, want an object"},
		{"half", `{"body":"x"`, "does not end on the line"},
		{"two", `{"body":"x"} {"body":"y"}`, "more than one JSON value"},
		{"unknown field", `{"body":"x","tga":"y"}`, `JSON field "tga" is not known`},
		{"wrong type", `{"body":"x","keys":"k"}`, "JSON field keys is a string, want a list of strings"},
		{"a number among the keys", `{"body":"x","keys":[1]}`, "JSON field keys has a number, want a list of strings"},
		{"another case", `{"Body":"x"}`, `JSON field "Body" is not known, want body`},
		{"a name twice", `{"body":"x","body":"y"}`, `JSON field "body" is there twice`},
		{"a property twice", `{"body":"x","properties":{"a":"1","a":"2"}}`, `JSON field properties: JSON field "a" is there twice`},
		{"null", "null", "JSON is null, want an object such as"},
		{"number", "7", "JSON is a number, want an object"},
		{"no body", `{"body":null}`, "JSON field body is null, want a string"},
		{"half a value", `{"body":`, "does not end on the line"},
		{"half a name", `{"body":"x",`, "does not end on the line"},
		{"no comma", `{"body":"x" "tag":"y"}`, "invalid character"},
		{"properties as a list", `{"body":"x","properties":["a"]}`, "JSON field properties: it is an array, want an object of strings"},
		{"a property without a value", `{"body":"x","properties":{"a":null}}`, `JSON field properties: "a" is no string`},
		{"a number as time", `{"body":"x","deliverAt":7}`, "JSON field deliverAt is no string, want a time"},
		{"yes", `{"body":"x","noWaitStore":"yes"}`, "JSON field noWaitStore is a string, want true or false"},
		{"half a priority", `{"body":"x","priority":1.5}`, "JSON field priority is a number 1.5, want a whole number"},
		{"number as property", `{"body":"x","properties":{"n":1}}`, `JSON field properties: "n" is no string`},
		{"both bodies", `{"body":"x","bodyBase64":"eA=="}`, "both body and bodyBase64"},
		{"bad base64", `{"bodyBase64":"?"}`, "illegal base64"},
		{"bad time", `{"body":"x","deliverAt":"tomorrow"}`, `JSON field deliverAt is "tomorrow", want a time`},
		{"bad delay", `{"body":"x","delay":"10"}`, `JSON field delay is "10", want a time such as 10s`},
		{"list", `["x"]`, "JSON is an array, want an object"},
		{"bad flag", `{"body":"x","flag":2147483648}`, "JSON field flag is a number 2147483648, want a whole number of 32 bits"},
		{"not UTF-8", "{\"body\":\"\xff\"}", "not valid UTF-8"},
		{"lone surrogate", `{"body":"\ud83d"}`, "half a surrogate pair"},
		{"surrogates the wrong way round", `{"body":"\ude80\ud83d"}`, "half a surrogate pair"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := jsonDecoder(core.Message{Topic: "t"})([]byte(tt.line))
			if err == nil {
				t.Fatalf("got %+v, want an error", m)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
			if !errors.Is(err, core.ErrInvalidMessage) || core.CertaintyOf(err) != core.NotSent {
				t.Errorf("%v is not an invalid message that was not sent", err)
			}
		})
	}
}

// Whatever a line says, decoding gives a message or an error, and what JSON can
// write comes out as it went in.
func FuzzJSONLine(f *testing.F) {
	f.Add([]byte(`{"body":"x","keys":["k"],"properties":{"a":"b"}}`))
	f.Add([]byte(`{"bodyBase64":"AA=="}`))
	f.Add([]byte(`{"body":"\ud83d\ude80"}`))
	decode := jsonDecoder(core.Message{Topic: "t"})
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decode(line)
		if (m == nil) == (err == nil) {
			t.Fatalf("message %v with error %v", m, err)
		}
		if err == nil && strings.ContainsRune(string(m.Body), '\uFFFD') && !strings.Contains(string(line), "\uFFFD") &&
			!strings.Contains(strings.ToLower(string(line)), `\ufffd`) && !strings.Contains(strings.ToLower(string(line)), "bodybase64") {
			t.Fatalf("body %q has a replacement character that the line %q has not", m.Body, line)
		}
	})
}
