package remoting_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A broker that does all that a network and a bad day can do: answers in pieces,
// late, in another order, together, twice or never, half an answer, and the end of
// the connection with or without a word. Its kind brother answers each request once.
//
// A message is a number, eight bytes long, and that number again and again; the
// answer gives the number as the offset.
type badDay struct {
	kind  bool
	mu    sync.Mutex
	held  map[*session][][]byte
	seen  map[uint64]int
	wrong []string
}

func (b *badDay) handle(s *session, c wire.Command) {
	id, ok := number(c.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !ok {
		b.wrong = append(b.wrong, fmt.Sprintf("a body of %d bytes is made of several", len(c.Body)))
		return
	}
	b.seen[id]++
	if c.IsOneway() {
		return
	}
	answer := stored(s, c, id)
	later := func(d time.Duration) {
		s.f.wg.Go(func() {
			time.Sleep(d)
			s.write(answer)
		})
	}
	switch luck := rand.IntN(1000); {
	case b.kind && luck < 300:
		later(rand.N(2 * time.Millisecond))
	case b.kind:
		s.pieces(answer)
	case luck < 3:
		s.reset()
	case luck < 5:
		s.write(answer[:len(answer)/2])
		s.nc.Close()
	case luck < 80: // never
	case luck < 180:
		later(rand.N(30 * time.Millisecond))
	case luck < 190:
		s.write(append(answer, answer...))
	case luck < 600:
		held := append(b.held[s], answer)
		if len(held) > rand.IntN(12) {
			rand.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
			s.write(bytes.Join(held, nil))
			held = nil
		}
		b.held[s] = held
	default:
		s.pieces(answer)
	}
}

// number is what a body says, if it says one thing.
func number(body []byte) (id uint64, ok bool) {
	if len(body) == 0 || len(body)%8 != 0 {
		return 0, false
	}
	for b := body; len(b) > 0; b = b[8:] {
		if !bytes.Equal(b[:8], body[:8]) {
			return 0, false
		}
	}
	return binary.BigEndian.Uint64(body), true
}

// stored is a send's success with a number for its offset.
func stored(s *session, c wire.Command, id uint64) []byte {
	b, err := wire.AppendSendResponse(nil, wire.ResponseHead{Opaque: c.Opaque, Serialization: s.form(c)}, "",
		&wire.SendResponse{MsgID: "7F00000100002A9F0000000000000000", QueueOffset: int64(id)})
	if err != nil {
		panic(err)
	}
	return b
}

// pieces writes b, now and then in pieces.
func (s *session) pieces(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rand.IntN(4) == 0 && len(b) > 1 {
		n := 1 + rand.IntN(len(b)-1)
		_, _ = s.nc.Write(b[:n])
		b = b[n:]
	}
	_, _ = s.nc.Write(b)
}

// Whatever the broker does, an answer is that of its message, a message that was
// certainly not sent is not there, none is there twice, and nothing is left behind.
// Where the broker is kind nothing fails.
func TestBadDays(t *testing.T) {
	for _, tt := range []struct {
		callers, each int
		kind          bool
		layer         bool // a connection that is no plain socket, as with TLS
	}{
		{1, 200, false, false},
		{2, 200, false, false},
		{64, 100, false, false},
		{64, 100, false, true},
		{1, 1000, true, false},
		{2, 1000, true, false},
		{64, 100, true, false},
		{64, 100, true, true},
	} {
		t.Run(fmt.Sprintf("%d callers, kind=%v, layer=%v", tt.callers, tt.kind, tt.layer), func(t *testing.T) {
			day := &badDay{kind: tt.kind, held: map[*session][][]byte{}, seen: map[uint64]int{}}
			b := broker(t, day.handle)
			cfg := remoting.Config{MaxQueuedBytes: 256 << 10}
			if tt.layer {
				cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					nc, err := new(net.Dialer).DialContext(ctx, network, addr)
					return struct{ net.Conn }{nc}, err
				}
			}
			c := client(t, cfg)
			p := producer(t, c, b.addr())
			var ids, good atomic.Uint64
			var mu sync.Mutex
			notSent := map[uint64]error{}
			send := func() {
				id := ids.Add(1)
				size := 1
				if rand.IntN(30) == 0 {
					size += rand.IntN(30_000)
				}
				m := coretest.Message("")
				m.Body = bytes.Repeat(binary.BigEndian.AppendUint64(nil, id), size)
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				limit := minute
				if !tt.kind {
					limit = 1 + rand.N(60*time.Millisecond)
					if rand.IntN(10) == 0 {
						timer := time.AfterFunc(rand.N(5*time.Millisecond), cancel)
						defer timer.Stop()
					}
				}
				var res core.Result
				var err error
				oneway := rand.IntN(20) == 0
				if oneway {
					err = p.SendOneway(ctx, m, core.SendTimeout(limit))
				} else {
					res, err = p.Send(ctx, m, core.SendTimeout(limit))
				}
				switch {
				case err == nil && !oneway && uint64(res.QueueOffset) != id:
					t.Errorf("message %d has the answer of %d", id, res.QueueOffset)
				case err == nil:
					good.Add(1)
				case tt.kind:
					t.Errorf("message %d: %v", id, err)
				case core.CertaintyOf(err) == core.NotSent:
					mu.Lock()
					notSent[id] = err
					mu.Unlock()
				}
			}
			var wg sync.WaitGroup
			for range tt.callers {
				wg.Go(func() {
					for range tt.each {
						send()
					}
				})
			}
			wg.Wait()
			ctx, cancel := context.WithTimeout(bg, minute)
			defer cancel()
			if err := p.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if err := c.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			b.stop()
			day.mu.Lock()
			defer day.mu.Unlock()
			for id, n := range day.seen {
				if n > 1 {
					t.Errorf("message %d came %d times", id, n)
				}
				if err := notSent[id]; err != nil {
					t.Errorf("message %d came, and its sender was told: %v", id, err)
				}
			}
			for _, w := range day.wrong {
				t.Error(w)
			}
			if s := c.Stats(); s.InFlight != 0 || s.Connections != 0 || s.QueuedBytes != 0 {
				t.Errorf("left behind: %+v", s)
			}
			t.Logf("%d messages, %d good, %d certainly not sent: %+v", ids.Load(), good.Load(), len(notSent), c.Stats())
		})
	}
}
