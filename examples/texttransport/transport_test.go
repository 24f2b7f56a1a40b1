package texttransport_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/examples/texttransport"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/transporttest"
)

// In virtual time nothing is skipped.
func TestRules(t *testing.T) {
	for _, r := range transporttest.Rules() {
		t.Run(r.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tb := unskipped{t}
				r.Test(tb, func(tb transporttest.TB) transporttest.World {
					network := embedded.NewNetwork()
					w := world(tb, network)
					w.Silent, w.Late = "127.0.0.1:2", time.Millisecond
					if err := network.SetUnreachable(w.Silent, true); err != nil {
						tb.Fatalf("%v", err)
					}
					return w
				})
			})
		})
	}
}

// unskipped is a test in which no check may be skipped.
type unskipped struct{ *testing.T }

func (t unskipped) Skipf(format string, args ...any) { t.Errorf(format, args...) }
func (t unskipped) Logf(format string, args ...any)  { t.Errorf(format, args...) }

// Over TCP, in real time, there is no address at which a connection is neither made nor
// refused.
func TestRulesOverTCP(t *testing.T) {
	transporttest.Test(t, func(tb transporttest.TB) transporttest.World { return world(tb, nil) })
}

func world(tb transporttest.TB, network *embedded.Network) transporttest.World {
	s := serve(tb, network)
	tr := s.transport()
	return transporttest.World{
		Transport: tr, Routes: tr, Topic: "orders", UnknownTopic: "unknown", ReadOnlyTopic: "archive",
		Serve: func(h transporttest.Handler) { s.decide = h },
		Refusals: []transporttest.Refusal{
			{Code: texttransport.Busy, Remark: "come back later", Class: core.ClassBusy, Certainty: core.NotStored},
			{Code: texttransport.Denied, Remark: "no\tentry", Class: core.ClassAuth, Certainty: core.NotStored},
			{Code: texttransport.Unknown, Class: core.ClassNoTopic, Certainty: core.NotStored},
			{Code: texttransport.Failed, Remark: "the disk", Class: core.ClassBroker, Certainty: core.MaybeStored},
			{Code: texttransport.Garbled, Remark: "?!", Class: core.ClassBroker, Certainty: core.MaybeStored},
		},
		Refusing:   "127.0.0.1:1",
		HangingUp:  s.listen(tb, func(c net.Conn) { c.Close() }),
		Deaf:       s.listen(tb, func(c net.Conn) { <-s.over; c.Close() }),
		HangRoutes: func() { close(s.hung) },
	}
}
