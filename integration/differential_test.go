package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// notModelled holds a table of every answer in which the embedded cluster differs from a real one.
const notModelled = "../transport/embedded/NOT_MODELLED.md"

// sides are the forms of a header, in which each request is made.
var sides = [...]wire.Serialization{wire.JSON, wire.RocketMQ}

// Whatever is asked, `liftoff broker` answers as real brokers and name servers do, or the table in NOT_MODELLED.md has the
// difference: one that is not listed fails, and so does a line that is none any more. With -update the table is written anew;
// the reasons in it stay.
func TestLiftoffBrokerAnswersAsRealOnes(t *testing.T) {
	t.Parallel()
	servers := []*server{{name: "liftoff", nameServer: startLiftoffBroker(t)}}
	for _, v := range versions(t) {
		// Clusters of their own: some requests leave a broker's timers in disorder.
		c := startCluster(t, realcluster.Options{Version: v, Brokers: 2})
		servers = append(servers, &server{name: v, nameServer: c.NameServer()})
	}
	for _, s := range servers {
		s.broker = brokerOf(t, s.nameServer)
	}
	var asking sync.WaitGroup
	for _, s := range servers {
		asking.Go(func() {
			for i, ser := range sides {
				s.answers[i] = askAll(t, s, differentialScript(topicFor(t, ser.String())), ser)
			}
		})
	}
	asking.Wait()
	if t.Failed() {
		return
	}
	script := differentialScript(topicFor(t, ""))
	t.Logf("%d requests in %d forms of header at %d servers", len(script), len(sides), len(servers))
	ours, theirs := servers[0], servers[1:]
	// A field that a server never sends is one line, and not one for each answer.
	var found []difference
	never := map[string]*difference{}
	for _, s := range theirs {
		for _, name := range slices.Sorted(maps.Keys(ours.fields())) {
			if !s.fields()[name] {
				if never[name] == nil {
					never[name] = &difference{request: "any: " + name, here: "sent", there: map[string]string{}}
				}
				never[name].there[s.name] = "not sent"
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(never)) {
		found = append(found, *never[name])
	}
	for k, x := range script {
		var forms [len(sides)]difference
		for i := range sides {
			forms[i] = difference{request: x.name, here: ours.answers[i][k].String(), there: map[string]string{}}
			for _, s := range theirs {
				forms[i].there[s.name] = s.answers[i][k].differs(&ours.answers[i][k], func(field string) bool {
					return never[field] != nil && never[field].there[s.name] != ""
				})
			}
		}
		if maps.Equal(forms[0].there, forms[1].there) && forms[0].here == forms[1].here {
			forms[1].there = nil
		} else {
			for i, ser := range sides {
				forms[i].request += " (" + ser.String() + ")"
			}
		}
		for _, d := range forms {
			if slices.ContainsFunc(slices.Collect(maps.Values(d.there)), func(s string) bool { return s != "" }) {
				found = append(found, d)
			}
		}
	}
	compareListed(t, found)
}

// server is one that is asked.
type server struct {
	name, nameServer, broker string
	answers                  [len(sides)][]answer
}

// fields are the names of all fields that it sent.
func (s *server) fields() map[string]bool {
	names := map[string]bool{}
	for _, answers := range s.answers {
		for i := range answers {
			for name := range answers[i].fields {
				names[name] = true
			}
		}
	}
	return names
}

// answer is the comparable part of what a server says.
type answer struct {
	silent string // why there is no answer
	code   int
	remark string // is not compared
	fields map[string]string
	body   string
}

// String is the answer in few words.
func (a *answer) String() string {
	if a.silent != "" {
		return a.silent
	}
	return fmt.Sprint(a.code)
}

// differs says what is different in a from what the embedded cluster says, or "". Fields that are never sent do not count.
func (a *answer) differs(here *answer, never func(field string) bool) string {
	if a.silent != here.silent || a.code != here.code {
		return a.String()
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(a.fields)) {
		if v, ok := here.fields[k]; !ok || v != a.fields[k] {
			parts = append(parts, k+"="+a.fields[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(here.fields)) {
		if _, ok := a.fields[k]; !ok && !never(k) {
			parts = append(parts, "no "+k)
		}
	}
	if a.body != here.body {
		parts = append(parts, "body "+a.body+", here "+here.body)
	}
	if len(parts) == 0 {
		return ""
	}
	return a.String() + ", " + strings.Join(parts, ", ")
}

// askAll makes all requests of a script, one after the other.
func askAll(t *testing.T, s *server, script []exchange, ser wire.Serialization) []answer {
	answers := make([]answer, len(script))
	for i := range script {
		x := &script[i]
		addr := s.broker
		if x.toNameServer {
			addr = s.nameServer
		}
		var c wire.Command
		var err error
		for range 10 { // a machine that is busy makes a broker busy: it did nothing, and says nothing of itself
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			c, err = x.call(ctx, addr, ser)
			cancel()
			if err != nil || c.Code != int(rocketmq.CodeSystemBusy) {
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
			answers[i].silent = "closed"
		case errors.Is(err, os.ErrDeadlineExceeded): // a 4.9 name server leaves unknown codes unanswered
			answers[i].silent = "none"
		case err != nil:
			t.Errorf("%s: %s: %v", s.name, x.name, err)
		default:
			answers[i] = x.read(&c)
		}
		if testing.Verbose() {
			t.Logf("%-8s %-8s %-60s %s %s %v %.200q", s.name, ser, x.name, &answers[i], answers[i].body, answers[i].fields, answers[i].remark)
		}
	}
	return answers
}

// looseFields are fields of answers that hold addresses, times and the like.
var looseFields = []string{"transactionId", "recallHandle", "timestamp", "subscriptionVersion"}

// read takes the comparable part of an answer.
func (x *exchange) read(c *wire.Command) answer {
	a := answer{code: c.Code, remark: c.Remark, fields: map[string]string{}}
	a.body = x.digest(c, a.fields)
	for _, f := range c.Ext {
		switch {
		case f.Key == "msgId" && f.Value != "": // address and store offset differ; how many there are does not
			a.fields[f.Key] = fmt.Sprintf("%d ids", strings.Count(f.Value, ",")+1)
		case slices.Contains(looseFields, f.Key), slices.Contains(x.loose, f.Key):
			a.fields[f.Key] = "..."
		default:
			a.fields[f.Key] = f.Value
		}
	}
	return a
}

// digest is what of an answer's body is the same wherever a cluster runs and whatever else it holds. The names of the
// properties of messages in it become fields.
func (x *exchange) digest(c *wire.Command, fields map[string]string) string {
	if c.Code != 0 || len(c.Body) == 0 {
		return map[bool]string{true: "some"}[len(c.Body) > 0]
	}
	var b strings.Builder
	switch x.code {
	case wire.GetRouteInfoByTopic:
		r, err := wire.ParseRoute(c.Body)
		if err != nil {
			return err.Error()
		}
		slices.SortFunc(r.Queues, func(a, b wire.QueueData) int { return strings.Compare(a.BrokerName, b.BrokerName) }) // Java's is hash order
		for _, q := range r.Queues {
			fmt.Fprintf(&b, "%s:r%dw%dp%ds%d ", q.BrokerName, q.ReadQueueNums, q.WriteQueueNums, q.Perm, q.TopicSysFlag)
		}
	case wire.PullMessage, litePullMessage, wire.ViewMessageByID:
		for rest := c.Body; len(rest) > 0; {
			var m wire.StoredMessage
			var err error
			if m, rest, err = wire.ParseStored(rest); err != nil {
				return err.Error()
			}
			fmt.Fprintf(&b, "%d:%d:%s ", m.QueueID, m.QueueOffset, m.Body)
			for _, p := range wire.ParseProperties(m.Properties) {
				fields["property "+p.Key] = "..."
			}
		}
	case wire.LockBatchMQ, wire.GetConsumerListByGroup:
		var compact bytes.Buffer
		if err := json.Compact(&compact, c.Body); err != nil {
			return err.Error()
		}
		return compact.String()
	default:
		return "some"
	}
	return strings.TrimSpace(b.String())
}

// call makes the request on a connection of its own.
func (x *exchange) call(ctx context.Context, addr string, ser wire.Serialization) (wire.Command, error) {
	const opaque = 5
	frame := x.raw
	if frame != nil {
		frame = append(slices.Clone(frame), make([]byte, 64)...) // the first bytes alone let a 5.x server wait for more
	} else {
		var err error
		if frame, err = wire.AppendCommand(nil, &wire.Command{
			Code: x.code, Language: wire.LanguageGo, Version: wire.CurrentVersion,
			Opaque: opaque, Ext: x.ext, Body: x.body, Serialization: ser,
		}); err != nil {
			return wire.Command{}, err
		}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return wire.Command{}, err
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(d); err != nil {
			return wire.Command{}, err
		}
	}
	if _, err := conn.Write(frame); err != nil {
		return wire.Command{}, err
	}
	r := wire.NewReader(conn, wire.MaxFrame)
	for {
		answer, err := r.Next()
		if err != nil {
			return wire.Command{}, err
		}
		c, err := wire.ParseFrame(answer)
		if err == nil && !c.IsResponse() {
			continue // a broker tells consumers that there is a new one
		}
		// The serialization is not compared: 5.3.3 answers in JSON whatever the request was in, 4.9.7 in the request's.
		if err == nil && c.Opaque != opaque && x.raw == nil {
			err = fmt.Errorf("not the answer: opaque %d", c.Opaque)
		}
		return c, err
	}
}

// brokerOf is the address of broker-a, as the name server's route gives it.
func brokerOf(t *testing.T, nameServer string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	x := exchange{code: wire.GetRouteInfoByTopic, ext: wire.RouteFields("TBW102")}
	c, err := x.call(ctx, nameServer, wire.JSON)
	if err != nil {
		t.Fatal(err)
	}
	r, err := wire.ParseRoute(c.Body)
	if err != nil {
		t.Fatalf("route of TBW102: code %d %s: %v", c.Code, c.Remark, err)
	}
	b := r.Broker("broker-a")
	if b == nil {
		t.Fatalf("no broker-a in %+v", r)
	}
	addr, _ := b.Master()
	return addr
}
