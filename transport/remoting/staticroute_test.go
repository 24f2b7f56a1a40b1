package remoting_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// The brokers' own queues were taken for the logical ones of a static topic. They say nothing about it: its route has
// all logical queues, each at the broker that leads it.
func TestRouteOfAStaticTopic(t *testing.T) {
	const body = `"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}},{"brokerName":"b","brokerAddrs":{"0":"h:2"}}],` +
		`"queueDatas":[{"brokerName":"a","readQueueNums":1,"writeQueueNums":1,"perm":6}],`
	for _, test := range []struct {
		name, mapping, want string // what is wanted is the route, or a part of the error
	}{
		{"two brokers", `"a":{"currIdMap":{"0":5,"2":6},"epoch":1,"totalQueues":3},"b":{"currIdMap":{"1":0},"epoch":1,"totalQueues":3}`, "a/0=h:1 b/1=h:2 a/2=h:1"},
		{"remapped", `"a":{"currIdMap":{0:5,1:6},"epoch":1,"totalQueues":2},"b":{"currIdMap":{1:0},"epoch":2,"totalQueues":2}`, "a/0=h:1 b/1=h:2"},
		{"not led", `"a":{"currIdMap":{"1":5},"epoch":1,"totalQueues":3}`, "__syslo__none__/0= a/1=h:1 __syslo__none__/2="},
		{"the leader is away", `"a":{"currIdMap":{"1":5},"epoch":1,"totalQueues":2},"c":{"currIdMap":{"0":0},"epoch":1,"totalQueues":2}`, "c/0= a/1=h:1"},
		{"all are away", `"c":{"currIdMap":{"0":5},"epoch":1,"totalQueues":1}`, "no writable queue has a master"},
		{"no queue", `"a":{"totalQueues":0}`, "no writable queue"},
		{"too many", `"a":{"totalQueues":65537}`, "65536 queues"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ns := broker(t, func(s *session, c wire.Command) {
				s.answer(c, 0, "", []byte(`{`+body+`"topicQueueMappingByBroker":{`+test.mapping+`}}`)...)
			})
			route, err := client(t, remoting.Config{NameServers: []string{ns.addr()}}).Route(bg, "T")
			switch {
			case err != nil && !strings.Contains(err.Error(), test.want):
				t.Errorf("got %v, want %q in it", err, test.want)
			case err == nil && show(route) != test.want:
				t.Errorf("got %q, want %q", show(route), test.want)
			case err == nil && route.Index(core.Queue{Broker: "anybody", ID: 1}) != 1:
				t.Error("the number alone does not name a queue")
			}
		})
	}
}
