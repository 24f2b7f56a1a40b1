package integration

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// hashSizes are the numbers of queues that keys are spread over.
var hashSizes = []string{"3", "8", "31", "64"}

// hashKeys are those of TestQueuesOfTenThousandKeys in package selector.
func hashKeys() []string {
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprintf([]string{"order-%d", "%d", "客户-%d", "😀 %d ß", "%032x"}[i%5], i*7919)
	}
	return keys
}

// Of 10,000 keys each has the queue that other clients give it: SelectMessageQueueByHash of the Java client, the hash
// selector of the Go client, and the load balancer of the Java client for gRPC. What they chose is in the golden file of
// package selector.
func TestQueuesOfOtherClients(t *testing.T) {
	t.Parallel()
	keys := hashKeys()
	file := filepath.Join(t.TempDir(), "keys")
	must(t, os.WriteFile(file, []byte(strings.Join(keys, "\n")), 0o600))
	chosen := javaprog.Run(t, javaprog.GoldenVersion, "Queues", append([]string{file}, hashSizes...)...)
	if older := javaprog.Run(t, "4.9.7", "Queues", append([]string{file}, hashSizes...)...); !slices.Equal(older, chosen) {
		t.Error("the clients of 4.9.7 and 5.3.3 choose differently")
	}
	for _, size := range hashSizes {
		chosen = append(chosen, goClientQueues(t, size, keys))
	}
	slices.Sort(chosen)
	var golden strings.Builder
	for _, line := range chosen {
		name, rest, _ := strings.Cut(line, " ")
		size, queues, _ := strings.Cut(rest, " ")
		all := strings.Fields(queues)
		if len(all) != len(keys) {
			t.Fatalf("%s %s: %d choices", name, size, len(all))
		}
		for i, q := range liftoffQueues(t, name, size, keys) {
			if all[i] != strconv.Itoa(q) {
				t.Fatalf("%s: %q is in queue %d of %s, want %s", name, keys[i], q, size, all[i])
			}
		}
		fmt.Fprintf(&golden, "%s %s %x %s\n", name, size, sha256.Sum256([]byte(queues)), strings.Join(all[:100], " "))
	}
	path := filepath.Join("..", "strategies", "selector", "testdata", "queues.txt")
	if *update {
		must(t, os.WriteFile(path, []byte(golden.String()), 0o644))
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != golden.String() {
		t.Errorf("%s is not what the clients choose now (%v); run with -update and look at the difference", path, err)
	}
}

func goClientQueues(t *testing.T, size string, keys []string) string {
	t.Helper()
	n, err := strconv.Atoi(size)
	must(t, err)
	queues := make([]*primitive.MessageQueue, n)
	for id := range queues {
		queues[id] = &primitive.MessageQueue{Topic: "T", BrokerName: "a", QueueId: id}
	}
	line := []string{"go", size}
	s := producer.NewHashQueueSelector()
	for _, key := range keys {
		q := s.Select(primitive.NewMessage("T", nil).WithShardingKey(key), queues, "")
		line = append(line, strconv.Itoa(q.QueueId))
	}
	return strings.Join(line, " ")
}

// liftoffQueues sends a message of each key.
func liftoffQueues(t *testing.T, function, size string, keys []string) []int {
	t.Helper()
	n, err := strconv.Atoi(size)
	must(t, err)
	var f selector.HashFunc
	must(t, f.UnmarshalText([]byte(function)))
	cfg := coretest.Config(&coretest.Transport{Forget: true})
	cfg.Routes = coretest.Routes(n, "a")
	cfg.Selector, err = selector.NewHash(selector.HashConfig{Function: f})
	must(t, err)
	p := coretest.Start(t, cfg)
	queues := make([]int, len(keys))
	for i, key := range keys {
		r, err := p.Send(t.Context(), &core.Message{Topic: "T", Body: []byte("x"), ShardingKey: key})
		must(t, err)
		queues[i] = r.Queue.ID
	}
	return queues
}
