package cluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Request codes of the remoting protocol (org.apache.rocketmq.remoting.protocol.RequestCode) that this client uses.
const (
	codeCreateTopic = 17
	codeMaxOffset   = 30
	codeMinOffset   = 31
	codeRoute       = 105
)

// header is the JSON form of a frame's header.
type header struct {
	Code      int               `json:"code"`
	Language  string            `json:"language"`
	Version   int               `json:"version"`
	Opaque    int               `json:"opaque"`
	Flag      int               `json:"flag"`
	Remark    string            `json:"remark,omitempty"`
	ExtFields map[string]string `json:"extFields,omitempty"`
}

// call makes one request on a connection of its own. One admin call at a time needs no more than that.
func call(ctx context.Context, address string, code int, fields map[string]string) (header, []byte, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return header{}, nil, err
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(d); err != nil {
			return header{}, nil, err
		}
	}
	head, err := json.Marshal(header{Code: code, Language: "JAVA", Version: 479, Opaque: 1, ExtFields: fields})
	if err != nil {
		return header{}, nil, err
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(head)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(head))) // high byte 0: a JSON header
	if _, err := conn.Write(append(frame, head...)); err != nil {
		return header{}, nil, err
	}
	var sizes [8]byte
	if _, err := io.ReadFull(conn, sizes[:]); err != nil {
		return header{}, nil, err
	}
	total := int(binary.BigEndian.Uint32(sizes[:4]))
	headLen := int(binary.BigEndian.Uint32(sizes[4:]) & 0xffffff)
	if total < 4+headLen || total > 16<<20 {
		return header{}, nil, fmt.Errorf("frame of %d bytes with a header of %d", total, headLen)
	}
	rest := make([]byte, total-4)
	if _, err := io.ReadFull(conn, rest); err != nil {
		return header{}, nil, err
	}
	var answer header
	if err := json.Unmarshal(rest[:headLen], &answer); err != nil {
		return header{}, nil, err
	}
	return answer, rest[headLen:], nil
}

// CreateTopic makes a topic with that many queues on each named broker (on all masters when none is named), and
// returns when the name server's route shows exactly those brokers.
func (c *Cluster) CreateTopic(t testing.TB, topic string, queues int, brokers ...string) {
	t.Helper()
	c.SetTopic(t, topic, queues, ReadWrite, brokers...)
}

// What may be done with a topic.
const (
	ReadOnly  = 4
	ReadWrite = 6
)

// SetTopic is CreateTopic with a permission, for new topics and for those that are there.
func (c *Cluster) SetTopic(t testing.TB, topic string, queues, perm int, brokers ...string) {
	t.Helper()
	if len(brokers) == 0 {
		brokers = c.Brokers()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	n := strconv.Itoa(queues)
	for _, b := range brokers {
		answer, _, err := call(ctx, c.BrokerAddr(b), codeCreateTopic, map[string]string{
			"topic": topic, "defaultTopic": rocketmq.DefaultTopic, "readQueueNums": n, "writeQueueNums": n, "perm": strconv.Itoa(perm),
			"topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
		})
		if err != nil || answer.Code != 0 {
			t.Fatalf("create topic %s on %s: code %d %s: %v", topic, b, answer.Code, answer.Remark, err)
		}
	}
	for {
		answer, body, err := call(ctx, c.NameServer(), codeRoute, map[string]string{"topic": topic})
		missing := err != nil || answer.Code != 0
		for _, b := range brokers {
			missing = missing || !strings.Contains(string(body), `"`+b+`"`)
		}
		if !missing {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("topic %s does not appear at the name server: code %d %s: %v", topic, answer.Code, answer.Remark, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// MessageCount is the number of messages stored in a topic: the sum over its queues of greatest minus least offset.
func (c *Cluster) MessageCount(t testing.TB, topic string, queues int, brokers ...string) int {
	t.Helper()
	if len(brokers) == 0 {
		brokers = c.Brokers()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	sum := 0
	for _, b := range brokers {
		for q := range queues {
			sum += c.offset(ctx, t, b, codeMaxOffset, topic, q) - c.offset(ctx, t, b, codeMinOffset, topic, q)
		}
	}
	return sum
}

func (c *Cluster) offset(ctx context.Context, t testing.TB, broker string, code int, topic string, queue int) int {
	t.Helper()
	answer, _, err := call(ctx, c.BrokerAddr(broker), code, map[string]string{
		"topic": topic, "queueId": strconv.Itoa(queue), "committed": "true",
	})
	if err != nil || answer.Code != 0 {
		t.Fatalf("offset of %s[%d] on %s: code %d %s: %v", topic, queue, broker, answer.Code, answer.Remark, err)
	}
	n, err := strconv.Atoi(answer.ExtFields["offset"])
	if err != nil {
		t.Fatalf("offset of %s[%d] on %s: %v", topic, queue, broker, err)
	}
	return n
}
