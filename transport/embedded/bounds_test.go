package embedded_test

import (
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const mib = 1 << 20

// liveHeap is how many bytes are in use and not garbage.
func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// wantHeap fails the test unless at most limit bytes are in use beyond before, at once or when the goroutines of connections
// that have been closed are gone.
func wantHeap(t testing.TB, what string, before int64, limit int) {
	t.Helper()
	grown := liveHeap() - before
	for try := 0; grown > int64(limit) && try < 50; try++ {
		time.Sleep(20 * time.Millisecond)
		grown = liveHeap() - before
	}
	t.Logf("%s: %.1f MiB", what, float64(grown)/mib)
	if grown > int64(limit) {
		t.Errorf("%s: %.1f MiB are in use, want at most %.1f", what, float64(grown)/mib, float64(limit)/mib)
	}
}

// closed reports whether the other side has closed the connection.
func (p *peer) closed() bool {
	p.t.Helper()
	_, err := p.next()
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		p.t.Fatal("the connection stands")
	}
	return err != nil
}

// 60 peers that began frames of 16 MiB and did not end them cost 1.2 GiB. Now those that hold most are closed, and a peer
// that behaves notices nothing.
func TestUnfinishedFramesAreBoundedInBytes(t *testing.T) {
	c := embedded.New(t, embedded.Config{MaxBufferedBytes: 40 * mib, StallTimeout: -1})
	b := c.Brokers()[0]
	good := connect(t, c, b.Addr(), wire.RocketMQ)
	mustCode(t, good.send("t", 0, "before"), 0)
	before := liveHeap()
	part := make([]byte, 12*mib)
	binary.BigEndian.PutUint32(part, 16*mib-4)
	var writing sync.WaitGroup
	for range 60 {
		p := connect(t, c, b.Addr(), wire.RocketMQ)
		writing.Go(func() { _, _ = p.conn.Write(part) })
	}
	writing.Wait()
	wantHeap(t, "60 unfinished frames", before, (40+12+4)*mib) // 12 are the test's own
	mustCode(t, good.send("t", 0, "after"), 0)
}

// 2,000 held pulls and one message of 1 MiB took 4.3 GiB, because each pull had its answer ready for a peer that reads none.
func TestAnswersToHeldPullsAreMadeWhenThereIsRoom(t *testing.T) {
	const pulls = 300
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{StallTimeout: -1})
		b := c.Brokers()[0]
		producer := connect(t, c, b.Addr(), wire.RocketMQ)
		mustCode(t, producer.send("t", 1, "makes the topic"), 0)
		reader := connect(t, c, b.Addr(), wire.RocketMQ)
		for range pulls {
			cmd := pullCommand("t", 0, 0, 1, prop("sysFlag", "6"), prop("suspendTimeoutMillis", "30000"))
			reader.write(&cmd)
		}
		synctest.Wait()
		before := liveHeap()
		mustCode(t, producer.send("t", 0, strings.Repeat("x", mib)), 0)
		synctest.Wait()
		wantHeap(t, strconv.Itoa(pulls)+" held pulls of 1 MiB", before, 16*mib)
		for range pulls {
			answer, err := reader.next()
			if err != nil || answer.Code != 0 || len(answer.Body) < mib {
				t.Fatalf("code %d, %d bytes: %v", answer.Code, len(answer.Body), err)
			}
		}
	})
}

// A peer that asked for large answers and did not read them kept them, and its connection, for ever.
func TestAnswersThatAreNotReadAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{MaxBufferedBytes: 24 * mib, StallTimeout: 20 * time.Second})
		b := c.Brokers()[0]
		good := connect(t, c, b.Addr(), wire.RocketMQ)
		mustCode(t, good.send("t", 0, strings.Repeat("x", 4*mib)), 0)
		before := liveHeap()
		for range 20 {
			p := connect(t, c, b.Addr(), wire.RocketMQ)
			for range 5 {
				cmd := pullCommand("t", 0, 0, 1)
				p.write(&cmd)
			}
		}
		synctest.Wait()
		wantHeap(t, "answers to 20 peers that do not read", before, (24+8)*mib)
		if n := b.Connections(); n < 3 || n > 8 {
			t.Errorf("%d connections, want the good one and those that fit 24 MiB", n)
		}
		mustCode(t, good.send("t", 1, "x"), 0)
		time.Sleep(20*time.Second + time.Millisecond)
		synctest.Wait()
		if n := b.Connections(); n != 1 {
			t.Errorf("%d connections stand after the time for reading, want the good one", n)
		}
		mustCode(t, good.send("t", 1, "x"), 0)
		wantHeap(t, "afterwards", before, 2*mib)
	})
}

// A frame could stay incomplete for ever.
func TestFramesHaveATime(t *testing.T) {
	const limit = 10 * time.Second
	frame, err := wire.AppendCommand(nil, &wire.Command{Code: wire.GetConsumerListByGroup, Body: make([]byte, 1000)})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{StallTimeout: limit})
		b := c.Brokers()[0]
		dial := func() *peer {
			p := connect(t, c, b.Addr(), wire.JSON)
			_ = p.conn.SetDeadline(time.Time{})
			return p
		}
		put := func(p *peer, part []byte) {
			t.Helper()
			if _, err := p.conn.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		idle := dial()
		begun, trickled := dial(), dial()
		began := time.Now()
		put(begun, frame[:2])
		go func() {
			for i := range frame { // ends at the close
				if _, err := trickled.conn.Write(frame[i : i+1]); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		for name, p := range map[string]*peer{"begun": begun, "trickled": trickled} {
			if !p.closed() || time.Since(began) != limit {
				t.Errorf("%s: closed after %v, want %v", name, time.Since(began), limit)
			}
		}
		// A stream whose reads always end within a frame is none that stalls.
		stream := dial()
		put(stream, frame[:100])
		for range 5 {
			time.Sleep(limit / 2)
			put(stream, append(frame[100:len(frame):len(frame)], frame[:100]...))
			if _, err := stream.next(); err != nil {
				t.Fatalf("a stream of frames: %v", err)
			}
		}
		// The time in which the server itself does not read does not count.
		synctest.Wait()
		b.SetReadPaused(true)
		time.Sleep(3 * limit)
		b.SetReadPaused(false)
		time.Sleep(limit / 2)
		put(stream, append(frame[100:len(frame):len(frame)], frame[:100]...))
		if _, err := stream.next(); err != nil {
			t.Errorf("after a pause: %v", err)
		}
		began = time.Now()
		if !stream.closed() || time.Since(began) != limit {
			t.Errorf("a later frame: closed after %v, want %v", time.Since(began), limit)
		}
		put(idle, frame)
		if _, err := idle.next(); err != nil {
			t.Errorf("after %v of silence: %v", time.Since(began), err)
		}
	})
}

// There was no limit of connections.
func TestConnectionsAreLimited(t *testing.T) {
	c := embedded.New(t, embedded.Config{MaxConnections: 3})
	b := c.Brokers()[0]
	var peers []*peer
	for range 3 {
		p := connect(t, c, b.Addr(), wire.JSON)
		mustCode(t, p.send("t", 0, "x"), 0)
		peers = append(peers, p)
	}
	for range 2 {
		if p := connect(t, c, b.Addr(), wire.JSON); !p.closed() {
			t.Error("a fourth connection stands")
		}
	}
	mustCode(t, connect(t, c, c.NameServers()[0], wire.JSON).call(wire.Command{Code: wire.GetBrokerClusterInfo}), 0)
	_ = peers[0].conn.Close()
	waitFor(t, "the end of a connection", func() bool { return b.Connections() == 2 })
	mustCode(t, connect(t, c, b.Addr(), wire.JSON).send("t", 0, "x"), 0)
	if _, err := embedded.Start(t.Context(), embedded.Config{MaxConnections: -1}); !errors.Is(err, embedded.ErrConfig) {
		t.Errorf("got %v, want an error for the configuration", err)
	}
	if _, err := embedded.Start(t.Context(), embedded.Config{MaxBufferedBytes: -1}); !errors.Is(err, embedded.ErrConfig) {
		t.Errorf("got %v, want an error for the configuration", err)
	}
}

// What peers can make a broker remember was bounded by number, and a text of a few bytes held the header that it came in: a
// million offsets could take 256 GiB.
func TestTablesAreBoundedInBytes(t *testing.T) {
	const table = mib
	long := func(prefix string, i int) string {
		return prefix + strconv.Itoa(i) + strings.Repeat("x", 200)
	}
	// padding makes the header of a request large without meaning anything.
	padding := prop("padding", strings.Repeat("p", 32<<10))
	tests := map[string]struct {
		requests int
		request  func(i int) wire.Command
		refused  int // the code when the table is full
	}{
		"offsets": {5000, func(i int) wire.Command {
			return wire.Command{Code: wire.UpdateConsumerOffset, Ext: wire.Fields{
				prop("consumerGroup", long("g", i)), prop("topic", "t"), prop("queueId", "0"), prop("commitOffset", "1"), padding,
			}}
		}, 2},
		"topics": {5000, func(i int) wire.Command {
			return wire.Command{Code: wire.UpdateAndCreateTopic, Ext: wire.Fields{
				prop("topic", long("t", i)[:120]), prop("readQueueNums", "1"), prop("writeQueueNums", "1"), prop("perm", "6"),
				prop("topicFilterType", "SINGLE_TAG"), padding,
			}}
		}, 1},
		"queues": {5000, func(i int) wire.Command { return sendCommand(wire.SendMessageV2, "wide", i, "x") }, 1},
		"locks": {3, func(i int) wire.Command {
			var queues []string
			for k := range 3000 {
				queues = append(queues, `{"topic":"t`+strconv.Itoa(k)+strings.Repeat("x", 100)+`","queueId":`+strconv.Itoa(i)+`,"brokerName":"b"}`)
			}
			return wire.Command{Code: wire.LockBatchMQ, Body: []byte(`{"consumerGroup":"` + long("g", i) + `","clientId":"c","mqSet":[` + strings.Join(queues, ",") + `]}`)}
		}, 0},
		"clients": {5, func(i int) wire.Command {
			h := wire.Heartbeat{ClientID: "c" + strconv.Itoa(i)}
			for k := range 3000 {
				h.ProducerGroups = append(h.ProducerGroups, long("g", k))
			}
			return wire.Command{Code: wire.HeartBeat, Body: wire.AppendHeartbeat(nil, &h)}
		}, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := embedded.New(t, embedded.Config{RecordedRequests: -1, MaxTableBytes: table})
			for _, topic := range []string{"t", "wide"} {
				if err := c.CreateTopic(topic, 65536); err != nil {
					t.Fatal(err)
				}
			}
			p := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
			before := liveHeap()
			refused := 0
			for i := range tt.requests {
				switch a := p.call(tt.request(i)); a.Code {
				case tt.refused:
					refused++
				case 0:
				default:
					t.Fatalf("request %d: code %d %s", i, a.Code, a.Remark)
				}
			}
			if refused == 0 {
				t.Errorf("none of %d requests was refused", tt.requests)
			}
			wantHeap(t, name, before, 3*table)
		})
	}
}

// A pull that waited held the header that it came in, of up to 256 KiB.
func TestHeldPullsAreBoundedInBytes(t *testing.T) {
	const pulls = 200
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{RecordedRequests: -1, MaxTableBytes: mib})
		if err := c.CreateTopic("t", 1); err != nil {
			t.Fatal(err)
		}
		p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
		var answered atomic.Int64
		reading := make(chan struct{})
		go func() {
			defer close(reading)
			for answered.Load() < 2*pulls {
				if a, err := p.next(); err != nil || a.Code != 19 {
					t.Errorf("code %d: %v", a.Code, err)
					return
				}
				answered.Add(1)
			}
		}()
		before := liveHeap()
		for round := range int64(2) { // in the second one there is room again
			for range pulls {
				cmd := pullCommand("t", 0, 0, 1, prop("sysFlag", "6"), prop("suspendTimeoutMillis", "30000"), prop("padding", strings.Repeat("p", 200<<10)))
				cmd.Ext.Set("subscription", strings.Repeat("a||", 5000)+"b")
				p.write(&cmd)
			}
			synctest.Wait()
			// A subscription of 5,000 tags takes 15 KB of text and 20 KB for their hashes.
			if n := answered.Load() - round*pulls; n < pulls-60 || n > pulls-20 {
				t.Errorf("%d of %d pulls were answered at once, want those beyond the 30 or so that fit 1 MiB", n, pulls)
			}
			wantHeap(t, "held pulls", before, 4*mib)
			time.Sleep(31 * time.Second)
		}
		<-reading
	})
}

// Remembered requests were counted by the texts of their fields, but hold the header as a whole, which can be mostly blanks.
func TestRememberedRequestsAreBoundedInBytes(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	header := `{"code":30,"opaque":1,"extFields":{"topic":"t","queueId":"0"}` + strings.Repeat(" ", 200<<10) + "}"
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)))
	frame = append(binary.BigEndian.AppendUint32(frame, uint32(len(header))), header...)
	before := liveHeap()
	for range 200 {
		if _, err := p.conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		if a, err := p.next(); err != nil || a.Code != 0 {
			t.Fatalf("code %d %s: %v", a.Code, a.Remark, err)
		}
	}
	wantHeap(t, "200 remembered requests of 200 KiB", before, 8*mib)
	if n := c.RequestCount(wire.GetMaxOffset); n != 200 {
		t.Errorf("%d requests counted, want 200", n)
	}
}
