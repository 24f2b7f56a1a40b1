package rocketmq_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

func TestCheckProperty(t *testing.T) {
	for _, test := range []struct {
		name, value string
		ok          bool
	}{
		{"a", "b", true},
		{"é ", "\n\x00\x03", true},
		{"", "b", false},
		{"a", "", false},
		{"a\x01", "b", false},
		{"a\x02", "b", false},
		{"a", "\x01b", false},
		{"a", "b\x02", false},
		{strings.Repeat("a", 32768), "b", false},
	} {
		err := rocketmq.CheckProperty(test.name, test.value)
		var pe *rocketmq.PropertyError
		if (err == nil) != test.ok || err != nil && (!errors.Is(err, rocketmq.ErrProperty) || !errors.As(err, &pe) || len(err.Error()) > 300) {
			t.Errorf("%.20q, %q: got %v, want ok %v", test.name, test.value, err, test.ok)
		}
	}
}

func TestIsReservedProperty(t *testing.T) {
	// Typed from Java's MessageConst of 5.x, of whose set that of 4.9 is a part.
	reserved := strings.Fields(`TRACE_ON MSG_REGION KEYS TAGS WAIT DELAY RETRY_TOPIC REAL_TOPIC REAL_QID TRAN_MSG PGROUP
		MIN_OFFSET MAX_OFFSET BUYER_ID ORIGIN_MESSAGE_ID TRANSFER_FLAG CORRECTION_FLAG MQ2_FLAG RECONSUME_TIME UNIQ_KEY
		MAX_RECONSUME_TIMES CONSUME_START_TIME POP_CK POP_CK_OFFSET 1ST_POP_TIME TRAN_PREPARED_QUEUE_OFFSET DUP_INFO
		EXTEND_UNIQ_INFO INSTANCE_ID CORRELATION_ID REPLY_TO_CLIENT TTL ARRIVE_TIME PUSH_REPLY_TIME CLUSTER MSG_TYPE
		INNER_MULTI_QUEUE_OFFSET TIMER_DELAY_MS TIMER_DELAY_SEC TIMER_DELIVER_MS TIMER_ENQUEUE_MS TIMER_DEQUEUE_MS
		TIMER_ROLL_TIMES TIMER_OUT_MS TIMER_DEL_UNIQKEY TIMER_DELAY_LEVEL __BORNHOST BORN_TIMESTAMP DLQ_ORIGIN_TOPIC
		DLQ_ORIGIN_MESSAGE_ID __CRC32# _SYS_MSG_PRIORITY_ __LITE_TOPIC ORIGIN_GROUP`)
	for _, name := range reserved {
		if !rocketmq.IsReservedProperty(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
	for _, name := range strings.Fields("REDIRECT TRACE_CONTEXT __SHARDINGKEY INNER_NUM INNER_BASE INNER_MULTI_DISPATCH __transactionId__ CHECK_IMMUNITY_TIME_IN_SECONDS TRANSACTION_CHECK_TIMES PROPERTY_FORWARD_QUEUE_ID keys a") {
		if rocketmq.IsReservedProperty(name) {
			t.Errorf("%s is reserved", name)
		}
	}
}

func TestCheckPropertyAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		if err := rocketmq.CheckProperty("city", "Bern"); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a sound property costs %v allocations, want 0", n)
	}
}

func TestPropertyLength(t *testing.T) {
	const text = "city\x01Bern\x02"
	if got := rocketmq.PropertyLength(len("city"), len("Bern")); got != len(text) {
		t.Errorf("got %d, want %d", got, len(text))
	}
	if rocketmq.MaxPropertiesLength != 32255 || rocketmq.ProtocolMaxPropertiesLength != 32767 {
		t.Error("the limits changed")
	}
}

func ExampleCheckProperty() {
	fmt.Println(rocketmq.CheckProperty("city", "Bern"))
	fmt.Println(rocketmq.CheckProperty("city", "Bern\x02DELAY\x013"))
	// Output:
	// <nil>
	// property "city": the value contains a separator (U+0001 or U+0002)
}
