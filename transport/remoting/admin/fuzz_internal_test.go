package admin

import (
	"bytes"
	"errors"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// FuzzDecode: whatever a broker answers, what is kept lies in the answer, in its order, and what
// is left out was asked about.
func FuzzDecode(f *testing.F) {
	whole, err := wire.AppendStored(nil, &wire.StoredMessage{Topic: "t", Body: []byte("body"), Properties: []byte("KEYS\x01a b\x02UNIQ_KEY\x01id\x02")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(bytes.Repeat(whole, 3))
	f.Add(whole[:len(whole)-1])
	nowhere, err := wire.AppendStored(nil, &wire.StoredMessage{Topic: "t", CommitLogOffset: -1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(nowhere)
	f.Add(bytes.Repeat(whole, MaxMax+1))
	f.Fuzz(func(t *testing.T, body []byte) {
		asked := 0
		found, err := decode(body, "broker", func(m *Message) bool {
			asked++
			_, _ = m.Unpack(1 << 10)
			return len(m.Keys()) == 2 && m.ID() != "" && m.Tag() == ""
		})
		if err != nil {
			if found != nil || !errors.Is(err, wire.ErrDecode) && asked != MaxMax {
				t.Fatalf("%d of %d, %v", len(found), asked, err)
			}
			return
		}
		if len(found) > asked || asked > MaxMax {
			t.Fatalf("%d of %d", len(found), asked)
		}
		rest := body
		for _, m := range found {
			if m.Broker != "broker" || !bytes.Contains(rest, m.Body) {
				t.Fatalf("%+v is not in the answer", m)
			}
			rest = rest[bytes.Index(rest, m.Body):]
		}
	})
}
