package remoting_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// FuzzPeer answers a send with any bytes, then with the right answer and the end
// of the stream. Whatever the bytes are, the client ends the call, keeps nothing,
// and reports success only if the right answer was still a frame of its own or
// the bytes hold one.
func FuzzPeer(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(ack(1))
	f.Add(ack(2))
	f.Add(ack(1)[:30])
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x08\x00\x00\x00\x04null"))
	for _, code := range []int{1, wire.CheckTransactionState, wire.GetConsumerRunningInfo, 1500} {
		for _, ser := range []wire.Serialization{wire.JSON, wire.RocketMQ} {
			b, err := wire.AppendCommand(nil, &wire.Command{Code: code, Opaque: 1, Flag: wire.FlagResponse, Remark: "r", Serialization: ser})
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, garbage []byte) {
		c := client(t, remoting.Config{Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				r := wire.NewReader(far, 0)
				frame, err := r.Next()
				if err != nil {
					return
				}
				h, err := wire.ParseHead(frame)
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(io.Discard, far) }() // refusals
				if _, err := far.Write(append(garbage[:len(garbage):len(garbage)], ack(h.Opaque)...)); err != nil {
					return
				}
			}()
			return near, nil
		}})
		p := producer(t, c, "b:1")
		res, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(time.Minute))
		// An id that no broker makes is left out, because of its length.
		foreign := bytes.Contains(garbage, []byte("msgId"))
		if err == nil && res.Status == core.SendOK && (res.OffsetMessageID == "" && !foreign || len(res.OffsetMessageID) > 64) {
			t.Errorf("success without an id, or with an endless one: %+v", res)
		}
		if len(garbage) == 0 && err != nil {
			t.Errorf("a good answer failed: %v", err)
		}
		if err := c.Shutdown(bg); err != nil {
			t.Error(err)
		}
		if s := c.Stats(); s.InFlight != 0 || s.Connections != 0 || s.QueuedBytes != 0 {
			t.Errorf("left behind: %+v", s)
		}
	})
}
