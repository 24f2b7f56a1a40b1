package main

import (
	"bytes"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A step that encrypted what compression had packed left the mark "compressed" on ciphertext, so
// consumers could not read it. Here a consumer reads every message, also one that is long
// enough for compression.
func TestConsumerReadsWhatIsEncrypted(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`reads "account 4711"`, `reads "Dear Ms. Fox"`, `reads "one"`, `reads "two"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant %s", out.String(), want)
		}
	}
	if n := strings.Count(out.String(), "clear text in them: false"); n != 4 {
		t.Errorf("got\n%s\nwant no clear text in 4 messages", out.String())
	}
}

// A body that is moved to another message cannot be read.
func TestBodyBelongsToItsMessage(t *testing.T) {
	e, err := NewEncryption("k", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	sealed := e.aead.Seal(nil, nil, []byte("x"), []byte("id-1"))
	of := func(id string) func(string) string {
		return func(name string) string { return map[string]string{keyProperty: "k", "UNIQ_KEY": id}[name] }
	}
	if _, err := e.Open(sealed, of("id-1")); err != nil {
		t.Error(err)
	}
	if _, err := e.Open(sealed, of("id-2")); err == nil {
		t.Error("a body of another message was opened")
	}
	if _, err := e.Open(sealed, func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), `needs the key ""`) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := NewEncryption("k", []byte("short")); err == nil {
		t.Error("a key of 5 bytes was taken")
	}
}
