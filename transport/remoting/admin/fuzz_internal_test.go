package admin

import (
	"bytes"
	"errors"
	"runtime"
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

// What is found takes little beside the answer that it lies in, even where it is all properties.
func TestFoundIsSmall(t *testing.T) {
	properties := append([]byte("KEYS\x01k\x02"), bytes.Repeat([]byte("a\x01b\x02"), 8000)...)
	whole, err := wire.AppendStored(nil, &wire.StoredMessage{Topic: "t", Properties: properties})
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat(whole, 256)
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	found, err := decode(body, "broker", func(m *Message) bool { return m.Property("KEYS") == "k" && m.Property("a") == "b" })
	if err != nil || len(found) != 256 || len(found[0].AllProperties()) != 8001 {
		t.Fatalf("%d messages, %v", len(found), err)
	}
	if more := heap() - before; more > len(body)/4 {
		t.Errorf("what was found in %d bytes takes %d more", len(body), more)
	}
	runtime.KeepAlive(found)
	runtime.KeepAlive(body)
}
