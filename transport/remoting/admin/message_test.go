package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func one(t *testing.T, found []admin.Message, err error) *admin.Message {
	t.Helper()
	if err != nil || len(found) != 1 {
		t.Fatalf("%d messages, %v", len(found), err)
	}
	return &found[0]
}

// A message is found in every way, and is what was sent.
func TestMessages(t *testing.T) {
	virtual(t, 2, remoting.Config{}, func(t *testing.T, w *world) {
		var sent []core.Result
		for i := range 6 {
			sent = append(sent, w.send(t, core.Message{
				Topic: "t", Tag: "tag", Keys: []string{"all", fmt.Sprint("k", i)}, Properties: map[string]string{"city": "Bern"}, Body: fmt.Append(nil, "body ", i),
			}))
			time.Sleep(time.Second)
		}
		for i, res := range sent {
			byPlace, err := w.MessageAt(t.Context(), "t", res.OffsetMessageID)
			if err != nil {
				t.Fatal(err)
			}
			found, err := w.MessagesByID(t.Context(), "t", res.MessageID.String())
			byID := one(t, found, err)
			found, err = w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: fmt.Sprint("k", i)})
			byKey := one(t, found, err)
			for way, m := range map[string]*admin.Message{"place": byPlace, "id": byID, "key": byKey} {
				body, err := m.Unpack(0)
				if err != nil || string(body) != fmt.Sprint("body ", i) || m.Topic != "t" || m.Tag() != "tag" || m.Property("city") != "Bern" ||
					!slices.Equal(m.Keys(), []string{"all", fmt.Sprint("k", i)}) || m.UniqueID() != res.MessageID.String() || m.ID() != m.UniqueID() ||
					m.OffsetID() != res.OffsetMessageID || m.QueueID != res.Queue.ID || m.QueueOffset != res.QueueOffset || m.AllProperties().Get("city") != "Bern" {
					t.Errorf("by %s: %q, %+v, %v", way, body, m, err)
				}
				if since := m.Stored().Sub(m.Born()); since < 0 || since > time.Second {
					t.Errorf("born %v, stored %v", m.Born(), m.Stored())
				}
				if want := map[bool]string{true: "", false: res.Queue.Broker}[way == "place"]; m.Broker != want {
					t.Errorf("by %s: from %q, want %q", way, m.Broker, want)
				}
			}
		}
		at := func(i int) time.Time {
			m, err := w.MessageAt(t.Context(), "", sent[i].OffsetMessageID)
			if err != nil {
				t.Fatal(err)
			}
			return m.Stored()
		}
		for name, tt := range map[string]struct {
			q    admin.Query
			want string
		}{
			"all, in their order":         {admin.Query{}, "0 1 2 3 4 5"},
			"from a time on":              {admin.Query{Begin: at(2)}, "2 3 4 5"},
			"up to a time":                {admin.Query{End: at(1)}, "0 1"},
			"a moment":                    {admin.Query{Begin: at(3), End: at(3)}, "3"},
			"the newest ones of a broker": {admin.Query{Max: 1}, "4 5"},
		} {
			tt.q.Topic, tt.q.Key = "t", "all"
			found, err := w.MessagesByKey(t.Context(), tt.q)
			var got []string
			for _, m := range found {
				got = append(got, strings.TrimPrefix(string(m.Body), "body "))
			}
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("%s: %v, %v, want %s", name, got, err, tt.want)
			}
		}
	})
}

func TestMessagesThatAreNotThere(t *testing.T) {
	virtual(t, 2, remoting.Config{}, func(t *testing.T, w *world) {
		res := w.send(t, core.Message{Topic: "t", Keys: []string{"k"}, Body: []byte("x")})
		id, err := wire.ParseOffsetID(res.OffsetMessageID)
		if err != nil {
			t.Fatal(err)
		}
		id.Offset = 1 << 40
		_, byPlace := w.MessageAt(t.Context(), "t", id.String())
		_, byID := w.MessagesByID(t.Context(), "t", "none")
		_, byKey := w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "none"})
		_, byTime := w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "k", End: time.UnixMilli(1)})
		_, notAsID := w.MessagesByID(t.Context(), "t", "k") // a key is no id, even if brokers find it by one
		for way, err := range map[string]error{"place": byPlace, "id": byID, "key": byKey, "time": byTime, "key as id": notAsID} {
			var nf *admin.NotFoundError
			if !errors.Is(err, admin.ErrNotFound) || !errors.As(err, &nf) || !strings.Contains(err.Error(), nf.What) {
				t.Errorf("by %s: %v", way, err)
			}
		}
	})
}

// Brokers find by hashes: what is something else is left out (Java: MQAdminImpl.queryMessage).
func TestHashCollisions(t *testing.T) {
	key := func(keys string) wire.Field { return wire.Field{Key: rocketmq.PropertyKeys, Value: keys} }
	id := func(id string) wire.Field { return wire.Field{Key: rocketmq.PropertyUniqKey, Value: id} }
	virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
		if err := w.Cluster.CreateTopic("t", 1); err != nil {
			t.Fatal(err)
		}
		w.on("", wire.QueryMessage, answerOf(slices.Concat(
			record(t, "t", 1, key("other")), record(t, "other", 2, key("k")), record(t, "t", 3, key("a k b")), record(t, "t", 4), record(t, "t", 5, key("kk k2")),
			record(t, "t", 6, id("k")), record(t, "t", 7, id("K")), record(t, "t", 8, key("k"), id("i")),
		)))
		offsets := func(found []admin.Message, err error) string {
			if err != nil {
				t.Error(err)
			}
			var out []int64
			for _, m := range found {
				out = append(out, m.CommitLogOffset)
			}
			return fmt.Sprint(out)
		}
		if got := offsets(w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "k"})); got != "[3 8]" {
			t.Errorf("by key: %s", got)
		}
		if got := offsets(w.MessagesByID(t.Context(), "t", "k")); got != "[6]" {
			t.Errorf("by id: %s", got)
		}
		var asked []string
		for _, r := range w.Requests(wire.QueryMessage) {
			var fields []string
			for _, f := range r.Command.Ext {
				fields = append(fields, f.Key+"="+f.Value)
			}
			asked = append(asked, strings.Join(fields, " "))
		}
		if want := []string{
			"topic=t key=k maxNum=64 beginTimestamp=0 endTimestamp=9223372036854775807",
			"topic=t key=k maxNum=32 beginTimestamp=0 endTimestamp=9223372036854775807 _UNIQUE_KEY_QUERY=true",
		}; !slices.Equal(asked, want) {
			t.Errorf("asked %q", asked)
		}
		// Without an id of its own a message has that of its place.
		place := wire.OffsetID{Offset: 4}.String()
		if got := offsets(w.MessagesByID(t.Context(), "t", place)); got != "[4]" {
			t.Errorf("by place: %s", got)
		}
	})
}

// A broker of 4.9 with access control refuses the field for unique ids by its signature, and is asked
// without it. Others that refuse are not asked again.
func TestUniqueIDAtOldBrokersWithAccessControl(t *testing.T) {
	for _, tt := range []struct {
		version, requests int
	}{{wire.V4_9_8, 2}, {wire.V5_0_0, 1}} {
		virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
			res := w.send(t, core.Message{Topic: "t", Body: []byte("x")})
			w.Control(wire.QueryMessage, func(r *embedded.Request) embedded.Action {
				if r.Command.Ext.Get("_UNIQUE_KEY_QUERY") == "" {
					return embedded.Pass()
				}
				frame, err := wire.AppendCommand(nil, &wire.Command{
					Code: 1, Remark: "org.apache.rocketmq.acl.common.AclException: Check signature failed for accessKey=k", Version: tt.version,
					Language: wire.LanguageJava, Opaque: r.Command.Opaque, Flag: wire.FlagResponse, Serialization: wire.JSON,
				})
				if err != nil {
					panic(err)
				}
				return embedded.Garbage(frame)
			})
			found, err := w.MessagesByID(t.Context(), "t", res.MessageID.String())
			if old := tt.requests == 2; old && (err != nil || len(found) != 1) || !old && core.ClassOf(err) != core.ClassAuth || w.RequestCount(wire.QueryMessage) != tt.requests {
				t.Errorf("version %d: %d found, %v, %d requests", tt.version, len(found), err, w.RequestCount(wire.QueryMessage))
			}
		})
	}
}

// A message that is stored twice has one id twice.
func TestMessageThatIsStoredTwice(t *testing.T) {
	virtual(t, 2, remoting.Config{}, func(t *testing.T, w *world) {
		w.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return embedded.StoreThenCut() })
		res := w.send(t, core.Message{Topic: "t", Body: []byte("x")})
		found, err := w.MessagesByID(t.Context(), "t", res.MessageID.String())
		if err != nil || len(found) != 2 || found[0].OffsetID() == found[1].OffsetID() || !res.MaybeDuplicate {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// Bodies that a producer has packed come back as they were.
func TestPackedBodies(t *testing.T) {
	body := make([]byte, 1<<20) // packs a thousandfold
	zlib, err := compress.Zlib(5)
	if err != nil {
		t.Fatal(err)
	}
	zstd, err := compress.Zstd(5)
	if err != nil {
		t.Fatal(err)
	}
	for _, codec := range []core.Compressor{zlib, compress.LZ4(), zstd} {
		t.Run(codec.Name(), func(t *testing.T) {
			virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
				p, err := liftoff.New(liftoff.Config{Group: "packs", NameServers: w.NameServers(), Client: remoting.Config{Dial: w.Dial}}, liftoff.WithCompressor(codec))
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer p.Shutdown(context.Background())
				res, err := p.Send(t.Context(), &core.Message{Topic: "t", Body: body})
				if err != nil {
					t.Fatal(err)
				}
				m, err := w.MessageAt(t.Context(), "", res.OffsetMessageID)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := m.Unpack(0); err != nil || !bytes.Equal(got, body) || len(m.Body) > len(body)/10 {
					t.Errorf("%d bytes of %d, %v", len(got), len(m.Body), err)
				}
				if _, err := m.Unpack(len(body) - 1); !errors.Is(err, compress.ErrTooLarge) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// Answers that no broker gives: each ends in time, in an error of its class.
func TestHostileAnswers(t *testing.T) {
	many := make([]byte, 0, 2<<20)
	for range admin.MaxMax + 1 {
		many = append(many, record(t, "t", 7)...)
	}
	whole := record(t, "t", 7, wire.Field{Key: rocketmq.PropertyKeys, Value: "k"})
	for _, tt := range []struct {
		name         string
		action       embedded.Action
		place, query core.Class
	}{
		{"no body", answerOf(nil), core.ClassBroker, core.ClassUnknown},
		{"no message", answerOf([]byte("garbage")), core.ClassBroker, core.ClassBroker},
		{"half a message", answerOf(whole[:len(whole)-1]), core.ClassBroker, core.ClassBroker},
		{"a size below its own", answerOf(make([]byte, 64)), core.ClassBroker, core.ClassBroker},
		{"too many messages", answerOf(many), core.ClassBroker, core.ClassBroker},
		{"another place", answerOf(record(t, "t", 8)), core.ClassBroker, core.ClassUnknown},
		{"no frame", embedded.Garbage([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), core.ClassNetwork, core.ClassNetwork},
		{"a frame beyond the limit", embedded.Garbage([]byte{0x7f, 0, 0, 0, 0, 0, 0, 0}), core.ClassNetwork, core.ClassNetwork},
		{"the answer to something else", embedded.WrongOpaque(), core.ClassTimeout, core.ClassTimeout},
		{"cut in the middle", embedded.CutAfter(5), core.ClassNetwork, core.ClassNetwork},
		{"silence", embedded.Hang(), core.ClassTimeout, core.ClassTimeout},
		{"a byte a second", embedded.Trickle(time.Second), core.ClassTimeout, core.ClassTimeout},
		{"wrong credentials", refuse(rocketmq.CodeNoPermission, "User:u has no permission to access"), core.ClassAuth, core.ClassAuth},
		{"another failure", refuse(rocketmq.CodeSystemError, "java.lang.Error"), core.ClassBroker, core.ClassBroker},
	} {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
				if err := w.Cluster.CreateTopic("t", 1); err != nil {
					t.Fatal(err)
				}
				w.on("", wire.ViewMessageByID, tt.action)
				w.on("", wire.QueryMessage, tt.action)
				host := w.send(t, core.Message{Topic: "t", Body: []byte("x")}).OffsetMessageID[:16]
				for name, want := range map[string]core.Class{"place": tt.place, "query": tt.query} {
					begin := time.Now()
					var err error
					if name == "place" {
						_, err = w.MessageAt(t.Context(), "t", host+"0000000000000007")
					} else {
						_, err = w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "k"})
					}
					var some *admin.BrokersError
					if core.ClassOf(err) != want || time.Since(begin) > admin.DefaultTimeout || errors.As(err, &some) != (name == "query" && want != core.ClassUnknown) {
						t.Errorf("%s: %v (%v) after %v, want %v", name, err, core.ClassOf(err), time.Since(begin), want)
					}
					if len(err.Error()) > 4<<10 {
						t.Errorf("an error of %d bytes", len(err.Error()))
					}
				}
			})
		})
	}
}

// A broker without a master is read from at its slave; a broker that fails is told beside what
// the others have.
func TestSlavesAndFailures(t *testing.T) {
	virtual(t, 2, remoting.Config{}, func(t *testing.T, w *world) {
		found := record(t, "t", 1, wire.Field{Key: rocketmq.PropertyKeys, Value: "k"})
		w.on("broker-a", wire.QueryMessage, answerOf(found))
		w.on("broker-b", wire.QueryMessage, refuse(1, "no"))
		w.on("", wire.GetRouteInfoByTopic, answerOf(wire.AppendRoute(nil, &wire.RouteData{
			Queues: []wire.QueueData{{BrokerName: "slave", ReadQueueNums: 1}},
			Brokers: []wire.BrokerData{
				{BrokerName: "slave", Addrs: map[int64]string{7: "192.0.2.1:1", 3: w.Broker("broker-a").Addr()}},
				{BrokerName: "fails", Addrs: map[int64]string{0: w.Broker("broker-b").Addr(), 1: "192.0.2.1:1"}},
				{BrokerName: "gone"},
			},
		}, wire.StandardKeys)))
		got, err := w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "k"})
		var some *admin.BrokersError
		if len(got) != 1 || got[0].Broker != "slave" || !errors.As(err, &some) || len(some.Failed) != 2 || some.Failed[0].Broker != "fails" || some.Failed[1].Broker != "gone" {
			t.Errorf("%+v, %v", got, err)
		}
		// Where nothing was found it may be at the one that failed.
		if got, err := w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "other"}); len(got) != 0 || errors.Is(err, admin.ErrNotFound) || !errors.As(err, &some) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// What all brokers find together is bounded.
func TestFoundIsBounded(t *testing.T) {
	big, err := wire.AppendStored(nil, &wire.StoredMessage{
		Topic: "t", Body: make([]byte, 7<<20), Properties: wire.AppendProperty(nil, rocketmq.PropertyKeys, "k"),
	})
	if err != nil {
		t.Fatal(err)
	}
	virtual(t, 10, remoting.Config{}, func(t *testing.T, w *world) {
		if err := w.Cluster.CreateTopic("t", 1); err != nil {
			t.Fatal(err)
		}
		// One after another: frames that come together share what the client has for them.
		var turn sync.Mutex
		w.Control(wire.QueryMessage, func(r *embedded.Request) embedded.Action {
			turn.Lock()
			defer turn.Unlock()
			return embedded.Delay(time.Duration(r.Node[len(r.Node)-1]-'a')*100*time.Millisecond, answerOf(big))
		})
		got, err := w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "k"})
		var some *admin.BrokersError
		if len(got) != 9 || !errors.As(err, &some) || len(some.Failed) != 1 || !strings.Contains(err.Error(), "more than 64 MiB") {
			t.Errorf("%d found, %v", len(got), err)
		}
	})
}

// Every request is signed, and goes to addresses that are translated and allowed.
func TestRequestsTakeTheWayOfAll(t *testing.T) {
	var mu sync.Mutex
	signed := map[int]bool{}
	hidden := map[string]string{} // addresses that nobody can dial, and where they lead
	settings := remoting.Config{
		Signer: signerFunc(func(r remoting.SignRequest) (wire.Fields, error) {
			mu.Lock()
			defer mu.Unlock()
			signed[r.Code] = true
			return wire.Fields{{Key: "Signature", Value: "s"}}, nil
		}),
		MapAddr: func(addr string) string {
			mu.Lock()
			defer mu.Unlock()
			if to := hidden[addr]; to != "" {
				return to
			}
			return addr
		},
		AllowBroker: func(addr string) bool { return !strings.HasPrefix(addr, "192.0.2.9:") },
	}
	virtual(t, 1, settings, func(t *testing.T, w *world) {
		if _, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t"}, admin.Place{}); err != nil {
			t.Fatal(err)
		}
		id := w.send(t, core.Message{Topic: "t", Keys: []string{"k"}, Body: []byte("x")}).OffsetMessageID
		if _, err := w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "k"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Offsets(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		hidden["192.0.2.1:10911"] = w.Broker("broker-a").Addr()
		mu.Unlock()
		// The id of a broker that has another address inside.
		if _, err := w.MessageAt(t.Context(), "t", "C000020100002A9F"+id[16:]); err != nil {
			t.Error(err)
		}
		if _, err := w.MessageAt(t.Context(), "t", "C000020900002A9F"+id[16:]); core.ClassOf(err) != core.ClassNetwork || !strings.Contains(err.Error(), "not allowed") {
			t.Errorf("%v", err)
		}
		for _, code := range []int{
			wire.UpdateAndCreateTopic, wire.GetBrokerClusterInfo, wire.GetRouteInfoByTopic, wire.QueryMessage, wire.ViewMessageByID,
			wire.GetMaxOffset, wire.GetMinOffset, wire.GetEarliestMsgStoreTime,
		} {
			if !signed[code] {
				t.Errorf("%d was not signed", code)
			}
			for _, r := range w.Requests(code) {
				if r.Command.Ext.Get("Signature") != "s" {
					t.Errorf("%d: %v", code, r.Command.Ext)
				}
			}
		}
		if n := w.Broker("broker-a").Connections(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// A translation of a broker's name holds for all that its master is asked. It does not hold for a
// slave of that broker, nor for an offset message id, which has an address alone.
func TestBrokersAreTranslatedByName(t *testing.T) {
	cfg := embedded.Config{Brokers: embedded.BrokerNames(2), AdvertiseHost: "192.0.2.7"}
	const server, addrA, addrB = "127.0.0.1:10001", "127.0.0.1:10002", "127.0.0.1:10003" // what a new network gives out
	virtualOf(t, cfg, remoting.Config{
		NameServers: []string{server},
		Addresses:   []string{"broker-a=" + addrA, "broker-b=" + addrB, "elsewhere=192.0.2.8:1"},
	}, func(t *testing.T, w *world) {
		done, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t", Queues: 1}, admin.Place{})
		if err != nil || !slices.Equal(done, []string{"broker-a", "broker-b"}) {
			t.Fatalf("%v, %v", done, err)
		}
		res := w.send(t, core.Message{Topic: "t", Keys: []string{"k"}, Body: []byte("x")})
		if offsets, err := w.Offsets(t.Context(), "t"); err != nil || len(offsets) != 2 {
			t.Errorf("%+v, %v", offsets, err)
		}
		if _, err := w.OffsetAt(t.Context(), "t", res.Queue, time.Now()); err != nil {
			t.Error(err)
		}
		found, err := w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "k"})
		one(t, found, err)
		found, err = w.MessagesByID(t.Context(), "t", res.MessageID.String())
		one(t, found, err)
		if _, err := w.MessageAt(t.Context(), "t", wire.OffsetID{Addr: netip.MustParseAddrPort("192.0.2.7:10002")}.String()); !errors.Is(err, core.ErrConnect) {
			t.Errorf("%v", err)
		}

		w.on("", wire.GetRouteInfoByTopic, answerOf(wire.AppendRoute(nil, &wire.RouteData{
			Brokers: []wire.BrokerData{{BrokerName: "elsewhere", Addrs: map[int64]string{1: map[string]string{"broker-a": addrA, "broker-b": addrB}[res.Queue.Broker]}}},
		}, wire.StandardKeys)))
		found, err = w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "k"})
		if m := one(t, found, err); m.Broker != "elsewhere" {
			t.Errorf("from %q", m.Broker)
		}
	})
}

type signerFunc func(remoting.SignRequest) (wire.Fields, error)

func (f signerFunc) Sign(r remoting.SignRequest) (wire.Fields, error) { return f(r) }

// A request ends with its context, and needs a client that runs.
func TestRequestsEnd(t *testing.T) {
	virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
		w.on("", wire.ViewMessageByID, embedded.Hang())
		w.on("", wire.GetBrokerClusterInfo, embedded.Hang())
		id := w.send(t, core.Message{Topic: "t", Body: []byte("x")}).OffsetMessageID
		for _, ask := range []func(context.Context) error{
			func(ctx context.Context) error { _, err := w.MessageAt(ctx, "", id); return err },
			func(ctx context.Context) error {
				_, err := w.CreateTopic(ctx, admin.Topic{Name: "t"}, admin.Place{})
				return err
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			begin := time.Now()
			if err := ask(ctx); core.ClassOf(err) != core.ClassTimeout && core.ClassOf(err) != core.ClassNetwork || time.Since(begin) != time.Second {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
			cancel()
			if err := ask(ctx); err == nil {
				t.Error("it was asked although the time was over")
			}
		}
	})
	client, err := remoting.NewClient(remoting.Config{NameServers: []string{"127.0.0.1"}, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("dialed")
		return nil, errors.New("no")
	}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := admin.New(client, admin.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, atPlace := a.MessageAt(t.Context(), "", "7F000001000088770000000000000000")
	_, create := a.CreateTopic(t.Context(), admin.Topic{Name: "t"}, admin.Place{})
	_, route := a.Route(t.Context(), "t")
	for _, err := range []error{atPlace, create, route} {
		if core.ClassOf(err) != core.ClassClosed {
			t.Errorf("%v", err)
		}
	}
}

// A name server that is hung or gone costs its part of the time.
func TestNameServersThatDoNotAnswer(t *testing.T) {
	virtualOf(t, embedded.Config{NameServers: 3}, remoting.Config{}, func(t *testing.T, w *world) {
		for i := range 2 {
			w.NameServer(i).Pause()
		}
		begin := time.Now()
		if done, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t"}, admin.Place{}); err != nil || len(done) != 1 || time.Since(begin) > admin.DefaultTimeout {
			t.Errorf("%v, %v after %v", done, err, time.Since(begin))
		}
		w.NameServer(2).Stop()
		var all *remoting.NameServerError
		if _, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t"}, admin.Place{}); !errors.As(err, &all) || len(all.Errs) != 3 {
			t.Errorf("%v", err)
		}
		for i := range 2 {
			w.NameServer(i).Resume()
		}
		for _, tt := range []struct {
			action embedded.Action
			class  core.Class
		}{
			{refuse(rocketmq.CodeNoPermission, "User:u has no permission to access"), core.ClassAuth},
			{answerOf([]byte("no JSON")), core.ClassBroker},
			{answerOf(wire.AppendClusterInfo(nil, nil, wire.BareKeys)), core.ClassNoRoute},
		} {
			remove := w.on("", wire.GetBrokerClusterInfo, tt.action)
			if _, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t"}, admin.Place{}); core.ClassOf(err) != tt.class {
				t.Errorf("%v, want %v", err, tt.class)
			}
			remove()
		}
	})
}
