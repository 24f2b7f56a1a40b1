package faulttest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// hostile starts a cluster whose only queue is on a peer with this script, and a
// producer that tries once.
func hostile(t *testing.T, script func(l *link)) (*peer, *sender) {
	t.Helper()
	w := newWorld(t, 1)
	h := newPeer(t, w.net, script)
	w.routeIs(routeTo(h.addr()))
	slow := func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := w.Dial(ctx, network, addr)
		time.Sleep(dialTime) // in which a peer that hangs up at once has done so
		return nc, err
	}
	return h, w.startWith(t, liftoff.Config{Client: remoting.Config{Dial: slow}}, liftoff.WithRetry(once()))
}

// dialTime is how long a dial to a hostile peer or its name server takes.
const dialTime = time.Nanosecond

// firstBackOff is the longest pause after the first dial that led to nothing.
const firstBackOff = 100 * time.Millisecond

// Row 17: the connection closes before the request, after it, in the middle of
// it, and in the middle of the answer. The error comes with the close and says
// rightly whether the message may be stored.
func TestFault17ConnectionClosed(t *testing.T) {
	const pause = 700 * time.Millisecond // until the peer closes
	for _, row := range []struct {
		name      string
		script    func(l *link)
		certainty core.Certainty
		after     time.Duration
	}{
		{"at once", func(l *link) {}, core.NotSent, 0},
		{"after the request", func(l *link) {
			l.nextSend()
			time.Sleep(pause)
		}, core.MaybeStored, pause},
		{"in the middle of the request", func(l *link) {
			// The body does not fit the network's buffer, so most of it waits.
			buf := make([]byte, 1000)
			_, _ = l.Read(buf)
			time.Sleep(pause)
		}, core.MaybeStored, pause},
		{"in the middle of the answer", func(l *link) {
			c, _ := l.nextSend()
			l.write(ackFrame(c, c.Opaque)[:50])
			time.Sleep(pause)
		}, core.MaybeStored, pause},
		{"in the middle of the answer's length", func(l *link) {
			c, _ := l.nextSend()
			l.write(ackFrame(c, c.Opaque)[:3])
			time.Sleep(pause)
		}, core.MaybeStored, pause},
	} {
		sub(t, row.name, func(t *testing.T) {
			h, p := hostile(t, row.script)
			m := msg("")
			m.Body = make([]byte, 1<<20)
			rand.NewChaCha8([32]byte{}).Read(m.Body) // so that it is not packed
			d := took(func() {
				_, err := p.Send(bg, m)
				wantFailure(t, err, core.ClassNetwork, row.certainty)
			})
			wantTook(t, "the send", d, 2*dialTime+row.after)
			want(t, "connections", h.accepted(), 1)
		})
	}
	// Closed while nothing was under way: the next send does not notice.
	sub(t, "while idle", func(t *testing.T) {
		h, p := hostile(t, func(l *link) {
			if c, ok := l.nextSend(); ok {
				l.ack(c, c.Opaque)
			}
		})
		for range 10 {
			p.ok(t, "x")
			synctest.Wait()
		}
		if n := h.accepted(); n < 10 {
			t.Errorf("%d connections, want one a send", n)
		}
	})
	// Two brokers, one of which always hangs up: nobody notices but the broker.
	sub(t, "with another broker", func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		p.warm(t, w)
		w.on("broker-b", embedded.Cut())
		for i := range 50 {
			wantTook(t, "a send", took(func() { p.ok(t, fmt.Sprint(i)) }), 0)
		}
	})
	sub(t, "stored, then closed", func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		p.warm(t, w)
		w.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return embedded.StoreThenCut() })
		res := p.ok(t, "x")
		want(t, "attempts", res.Attempts, 2)
		want(t, "duplicate possible", res.MaybeDuplicate, true)
		want(t, "stored under one id", w.byID("T")[res.MessageID.String()], 2)
	})
}

// Row 17, and 22 as far as a reset goes, over real sockets: whichever way the
// connection ends, the send ends long before its time.
func TestFault17ConnectionClosedOverLoopback(t *testing.T) {
	for _, row := range []struct {
		name  string
		close func(l *link)
	}{
		{"closed", func(*link) {}},
		{"half closed", func(l *link) {
			_ = l.Conn.(*net.TCPConn).CloseWrite()
			l.drain()
		}},
		{"reset", func(l *link) { _ = l.Conn.(*net.TCPConn).SetLinger(0) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorldOf(t, embedded.Config{})
			h := newPeer(t, nil, func(l *link) {
				c, ok := l.nextSend()
				if ok && string(c.Body) == "answered" {
					l.ack(c, c.Opaque)
					c, ok = l.nextSend()
				}
				if ok {
					row.close(l)
				}
			})
			w.routeIs(routeTo(h.addr()))
			p := w.startWith(t, liftoff.Config{Timeout: time.Hour}, liftoff.WithRetry(once()))
			for range 2 { // after the second in a row there is a pause
				p.ok(t, "answered")
				_, err := p.Send(bg, msg("lost"))
				wantFailure(t, err, core.ClassNetwork, core.MaybeStored)
			}
		})
	}
}

// Row 22 in virtual time: the link to one of two brokers goes silent, in both
// directions and for new connections too. It costs what a hung broker costs.
func TestFault22LinkDown(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		p.warm(t, w)
		w.Broker("broker-b").Pause()
		if err := w.net.SetUnreachable(w.Broker("broker-b").Addr(), true); err != nil {
			t.Fatal(err)
		}
		slow := 0
		for range 600 {
			if d := took(func() { p.ok(t, "x") }); d > 0 {
				slow++
				wantAtMost(t, "a send that met the broker", d, core.DefaultAttemptTimeout)
			}
			time.Sleep(100 * time.Millisecond)
		}
		// The first, and a probe each time the breaker lets one through.
		if most := 1 + int(time.Minute/breaker.DefaultOpenFor); slow == 0 || slow > most {
			t.Errorf("%d sends met the broker, want at most %d", slow, most)
		}
	})
}

// frame starts a frame: its length, the header's form and length.
func frame(length uint32, form byte, header uint32, rest ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint32(b, uint32(form)<<24|header)
	return append(b, rest...)
}

// badFrames are the beginnings of streams that are none of RocketMQ's.
func badFrames() map[string]struct {
	bytes []byte
	says  string
} {
	random := make([]byte, 4096)
	rand.NewChaCha8([32]byte{1}).Read(random)
	random[0] = 0xfe
	return map[string]struct {
		bytes []byte
		says  string
	}{
		// Row 18.
		"length -1":                {frame(0xffffffff, 0, 0), "negative length"},
		"length 2 GiB":             {frame(0x7fffffff, 0, 0), "beyond the limit"},
		"length 16 MiB and a byte": {frame(16<<20-3, 1, 21), "beyond the limit"},
		"length 0":                 {frame(0, 0, 0), "below that of the smallest frame"},
		"length 3":                 {frame(3, 0, 0), "below that of the smallest frame"},
		"header beyond the frame":  {frame(100, 1, 97), "header longer than its frame"},
		"header of 16 MiB":         {frame(15<<20, 1, 1<<24-1), "header"},
		"no header, JSON":          {frame(4, 0, 0), "header"},
		"no header, binary":        {frame(4, 1, 0), "header"},
		"answers to nobody":        {frame(25, 1, 21, []byte{12: byte(wire.FlagResponse), 20: 0}...), "nobody asked for"},
		"JSON that is none":        {frame(8, 0, 4, []byte("{{{{")...), "json"},
		// Row 19.
		"an HTTP answer":  {[]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "an HTTP server"},
		"an HTTP request": {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "an HTTP client"},
		"a TLS alert":     {[]byte{0x15, 3, 3, 0, 2, 2, 70}, "a TLS peer sending an alert"},
		"a TLS hello":     {[]byte{0x16, 3, 1, 0, 200, 1, 0, 0, 196}, "a TLS peer"},
		"SSH":             {[]byte("SSH-2.0-OpenSSH_9.2\r\n"), "an SSH server"},
		"random bytes":    {random, "frame"},
	}
}

// Rows 18 and 19: answers that are no frames. The connection is closed, every
// call on it fails at once and says what the peer looks like.
func TestFault18And19BytesThatAreNoFrames(t *testing.T) {
	const calls = 5
	for name, bad := range badFrames() {
		sub(t, name, func(t *testing.T) {
			h, p := hostile(t, func(l *link) {
				if l.n > 1 {
					l.serve()
					return
				}
				// Nothing is answered before, not even a heartbeat: these peers do
				// not speak the protocol.
				for n := 0; n < calls; {
					if c, _ := l.next(); isSend(c.Code) {
						n++
					}
				}
				l.write(bytes.Repeat(bad.bytes, 16))
				l.drain()
			})
			var load async
			for range calls {
				load.send(bg, p.Producer, msg("x"))
			}
			certainty, lost := core.MaybeStored, core.ErrConnectionLost
			if name == "a TLS alert" { // who speaks TLS alone has read no request
				certainty, lost = core.NotSent, core.ErrConnect
			}
			for _, o := range load.wait() {
				se := wantFailure(t, o.err, core.ClassNetwork, certainty)
				wantText(t, se, bad.says)
				wantTook(t, "a send", o.after, 2*dialTime)
				if !errors.Is(se, lost) {
					t.Errorf("got %v", se)
				}
			}
			want(t, "connections", h.accepted(), 1)
			want(t, "open connections", p.stats().Connections, 1) // the name server's
			want(t, "lost", p.stats().Lost, 1)
			time.Sleep(firstBackOff) // a peer that never said a sensible word is left alone for a moment
			p.ok(t, "on the next connection")
		})
	}
	// The same from a name server: the topic has no route.
	sub(t, "from a name server", func(t *testing.T) {
		w := newWorld(t, 1)
		h := newPeer(t, w.net, func(l *link) {
			l.next()
			l.write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
			l.drain()
		})
		p := w.startWith(t, liftoff.Config{NameServers: []string{h.addr()}})
		d := took(func() {
			_, err := p.Send(bg, msg("x"))
			wantFailure(t, err, core.ClassNetwork, core.NotSent)
			wantText(t, err, "an HTTP server")
		})
		wantTook(t, "the send", d, 0)
		// A second name server that is none of RocketMQ's does no harm.
		q := w.startWith(t, liftoff.Config{Group: "other", NameServers: []string{h.addr(), w.NameServers()[0]}})
		for i := range 8 {
			if _, err := q.Send(bg, &core.Message{Topic: fmt.Sprint("new-", i), Body: []byte("x")}); err != nil {
				t.Error(err)
			}
		}
	})
}

// Row 18: what a peer announces and does not send costs nothing: its connection
// allocates the buffer of 64 KiB that every connection has, and no more than
// errors and log lines beyond.
func TestFault18MemoryOfHostileConnections(t *testing.T) {
	// cost is what one connection with a peer of this script allocates.
	cost := func(t *testing.T, script func(l *link)) int {
		const rounds = 50
		var bytes uint64
		synctest.Test(t, func(t *testing.T) {
			h, p := hostile(t, func(l *link) {
				script(l)
				l.drain()
			})
			for range 3 {
				_, _ = p.Send(bg, msg("x"), core.SendTimeout(100*time.Millisecond))
				time.Sleep(10 * time.Second)
			}
			before := allocated()
			first := h.accepted()
			for range rounds {
				_, _ = p.Send(bg, msg("x"), core.SendTimeout(100*time.Millisecond))
				time.Sleep(10 * time.Second) // the frame's time, and the dial's back-off
			}
			bytes = (allocated() - before) / uint64(h.accepted()-first)
		})
		return int(bytes)
	}
	plain := cost(t, func(l *link) {
		if c, ok := l.nextSend(); ok {
			l.ack(c, c.Opaque)
			l.Close()
		}
	})
	t.Logf("an honest connection allocates %d bytes, its peer's side included", plain)
	for name, first := range map[string][]byte{
		"length -1":         frame(0xffffffff, 0, 0),
		"length 2 GiB":      frame(0x7fffffff, 0, 0),
		"16 MiB announced":  frame(16<<20-4, 1, 21),
		"header of 16 MiB":  frame(15<<20, 1, 1<<24-1),
		"header of 256 KiB": frame(15<<20, 0, 256<<10),
	} {
		t.Run(name, func(t *testing.T) {
			got := cost(t, func(l *link) {
				l.nextSend()
				l.write(first)
			})
			t.Logf("%d bytes", got)
			if got > plain+16<<10 {
				t.Errorf("the connection allocates %d bytes, an honest one %d", got, plain)
			}
		})
	}
}

// Row 20: an answer comes one byte a second. Calls that another broker can take are
// unharmed. The connection is out of use after one call's time, and the next one works.
func TestFault20SlowLoris(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		p.warm(t, w)
		before := p.stats()
		w.ControlOnce(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
			if r.Node != "broker-b" {
				return embedded.Pass()
			}
			return embedded.Trickle(time.Second)
		})
		slow := 0
		for range 80 {
			d := took(func() { p.ok(t, "x") })
			wantAtMost(t, "a send", d, core.DefaultAttemptTimeout)
			if d > 0 {
				slow++
			}
			time.Sleep(100 * time.Millisecond)
		}
		want(t, "slow sends", slow, 1)
		s := p.stats()
		want(t, "connections", s.Connections, before.Connections)
		want(t, "dials", s.Dials, before.Dials+1)
		nodes := w.nodes()
		if last := nodes[len(nodes)-16:]; !slices.Contains(last, "broker-a") || !slices.Contains(last, "broker-b") {
			t.Errorf("one broker gets all messages afterwards: %v", last)
		}
	})
}

// Row 21: a broker stops reading, so that sockets fill. Sends end at their time,
// what waits is bounded, and the other broker goes on.
func TestFault21PeerStopsReading(t *testing.T) {
	body := make([]byte, 512<<10)
	rand.NewChaCha8([32]byte{2}).Read(body)
	sub(t, "one of two", func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		p.warm(t, w)
		w.Broker("broker-b").SetReadPaused(true)
		var load async
		var most int64
		for range 200 {
			load.send(bg, p.Producer, &core.Message{Topic: "T", Body: body})
			time.Sleep(10 * time.Millisecond)
			most = max(most, p.stats().QueuedBytes)
		}
		for _, o := range load.wait() {
			if o.err != nil {
				t.Errorf("failed with a healthy broker left: %v", o.err)
			}
			wantAtMost(t, "a send", o.after, core.DefaultTimeout)
		}
		// A silent connection is replaced, and at most two are kept for their answers.
		if most > 3*(remoting.DefaultMaxQueuedBytes+1<<20) {
			t.Errorf("%d bytes were queued at a time", most)
		}
	})
	sub(t, "the only one", func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t, liftoff.WithRetry(once()))
		p.warm(t, w)
		w.Broker("broker-a").SetReadPaused(true)
		var load async
		for range 100 {
			load.send(bg, p.Producer, &core.Message{Topic: "T", Body: body})
		}
		most, left := p.stats().QueuedBytes, 0
		for _, o := range load.wait() {
			if o.err == nil {
				t.Error("acknowledged by a broker that reads nothing")
			}
			wantAtMost(t, "a send", o.after, core.DefaultTimeout)
			if core.CertaintyOf(o.err) != core.NotSent {
				left++
			}
		}
		t.Logf("%d of 100 may have left; %d bytes were queued", left, most)
		if most == 0 || most > remoting.DefaultMaxQueuedBytes+1<<20 {
			t.Errorf("%d bytes were queued", most)
		}
		// The network's buffer holds less than one of them.
		if left > 1+1 {
			t.Errorf("%d sends say that they may have left", left)
		}
		time.Sleep(10 * time.Second)
		want(t, "queued bytes", p.stats().QueuedBytes, 0)
		w.Broker("broker-a").SetReadPaused(false)
		wantAtMost(t, "the way back", p.recovery(t), time.Second)
		if n := w.StoredCount("T"); n > 4+left+1 {
			t.Errorf("%d messages are stored, %d were said to have left", n, left)
		}
	})
}

// Forty brokers that announce frames of 16 MiB, and send all but the end of them, made the
// client hold 835 MiB. All broker connections of a client share 16 MiB, beyond the 64 KiB that
// each one has.
func TestMemoryOfManyHostileBrokers(t *testing.T) {
	const brokers, shared, own = 40, 16 << 20, 64 << 10
	flood := make([]byte, 1<<20)
	for name, script := range map[string]func(l *link){
		"unfinished answers": func(l *link) {
			if c, ok := l.nextSend(); ok {
				l.ack(c, c.Opaque)
			}
			l.write(frame(16<<20-4, 1, 21))
			for range 15 {
				l.write(flood)
			}
			l.drain()
		},
		"unfinished answers of middle size": func(l *link) {
			if c, ok := l.nextSend(); ok {
				l.ack(c, c.Opaque)
			}
			l.write(frame(2<<20, 1, 21))
			l.write(flood)
			l.drain()
		},
		"whole answers to heartbeats": func(l *link) {
			for {
				c, ok := l.next()
				if !ok {
					return
				}
				if isSend(c.Code) {
					l.ack(c, c.Opaque)
					continue
				}
				b, err := wire.AppendCommand(nil, &wire.Command{Opaque: c.Opaque, Flag: wire.FlagResponse, Body: flood})
				if err != nil {
					panic(err)
				}
				l.write(b)
			}
		},
	} {
		sub(t, name, func(t *testing.T) {
			w := newWorld(t, 1)
			var addrs []string
			for range brokers {
				addrs = append(addrs, newPeer(t, w.net, script).addr())
			}
			w.routeIs(routeTo(addrs...))
			p := w.start(t, liftoff.WithRetry(once()))
			p.ok(t, "the route") // and one of the brokers
			before := heap()
			for range brokers {
				_, _ = p.Send(bg, msg("x"), core.SendTimeout(100*time.Millisecond))
			}
			synctest.Wait()
			held := heap() - before
			t.Logf("%d KiB are held after %d dials", held>>10, p.stats().Dials)
			if most := shared + brokers*own + 4<<20; held > most {
				t.Errorf("%d bytes are held, want at most %d", held, most)
			}
			time.Sleep(65 * time.Second) // the frames' time
			synctest.Wait()
			if held := heap() - before; held > brokers*own+4<<20 {
				t.Errorf("%d bytes are held a minute later", held)
			}
		})
	}
}

// heap is how many bytes are in use.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // for what pools hold
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A refusal pinned the header that its remark came in, 257 KiB, and a success whatever the
// broker had put beside the id. What a caller keeps is no larger than what it shows.
func TestMemoryOfWhatIsKept(t *testing.T) {
	long := strings.Repeat("x", 60<<10)
	for name, reply := range map[string]func(l *link, c wire.Command){
		"refusal": func(l *link, c wire.Command) {
			l.answer(c, int(rocketmq.CodeMessageIllegal), "no."+strings.Repeat("\n", 60<<10))
		},
		"refusal with fields": func(l *link, c wire.Command) {
			b, err := wire.AppendCommand(nil, &wire.Command{
				Code: int(rocketmq.CodeMessageIllegal), Opaque: c.Opaque, Flag: wire.FlagResponse, Remark: "no",
				Ext: wire.Fields{{Key: "x", Value: long}}, Serialization: c.Serialization,
			})
			if err != nil {
				panic(err)
			}
			l.write(b)
		},
		"success": func(l *link, c wire.Command) {
			b, err := wire.AppendSendResponse(nil, wire.ResponseHead{Opaque: c.Opaque, Serialization: c.Serialization}, "",
				&wire.SendResponse{MsgID: "7F00000100002A9F0000000000000000", RegionID: long, RecallHandle: "handle"})
			if err != nil {
				panic(err)
			}
			l.write(b)
		},
		"success with a long id": func(l *link, c wire.Command) {
			b, err := wire.AppendSendResponse(nil, wire.ResponseHead{Opaque: c.Opaque, Serialization: c.Serialization}, "",
				&wire.SendResponse{MsgID: long, RegionID: "region", RecallHandle: "handle"})
			if err != nil {
				panic(err)
			}
			l.write(b)
		},
	} {
		sub(t, name, func(t *testing.T) {
			const sends = 200
			_, p := hostile(t, func(l *link) {
				for {
					c, ok := l.nextSend()
					if !ok {
						return
					}
					reply(l, c)
				}
			})
			_, _ = p.Send(bg, msg("the route"))
			before := heap()
			var kept []any
			for range sends {
				res, err := p.Send(bg, msg("x"))
				kept = append(kept, res, err)
			}
			if each := (heap() - before) / sends; each > 6<<10 {
				t.Errorf("each outcome holds %d bytes", each)
			}
			runtime.KeepAlive(kept)
		})
	}
}
