package rocketmq_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

func TestNames(t *testing.T) {
	const ok, blank, bad, long, reserved = rocketmq.NameOK, rocketmq.NameBlank, rocketmq.NameBadChar, rocketmq.NameTooLong, rocketmq.NameReserved
	tests := []struct {
		name         string
		topic, group rocketmq.NameFault
	}{
		{"orders", ok, ok},
		{"a-Z_0|9%", ok, ok},
		{"%RETRY%group", ok, ok},
		{"%DLQ%group", ok, ok},
		{"TBW102", ok, ok},
		{"RMQ_SYS_TRACE_TOPIC", ok, ok},
		{strings.Repeat("x", 120), ok, ok},
		{strings.Repeat("x", 121), ok, long},
		{strings.Repeat("x", 127), ok, long},
		{strings.Repeat("x", 128), long, long},
		{strings.Repeat(".", 128), bad, bad},
		{"", blank, blank},
		{" \t\n\x01", blank, blank},
		{"a b", bad, bad},
		{"a.b", bad, bad},
		{"größe", bad, bad},
		{"a\n", bad, bad},
		{"a\x00", bad, bad},
		{"\u00a0", bad, bad},
		{"DEFAULT_PRODUCER", ok, reserved},
		{"SCHEDULE_TOPIC_XXXX", reserved, ok},
		{"RMQ_SYS_TRANS_HALF_TOPIC", reserved, ok},
		{"RMQ_SYS_TRANS_OP_HALF_TOPIC", reserved, ok},
		{"TRANS_CHECK_MAX_TIME_TOPIC", reserved, ok},
		{"RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC", reserved, ok},
		{"RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC", reserved, ok},
		{"SELF_TEST_TOPIC", reserved, ok},
		{"OFFSET_MOVED_EVENT", reserved, ok},
	}
	for _, tt := range tests {
		if got := rocketmq.CheckTopic(tt.name); got != tt.topic {
			t.Errorf("topic %.30q is %v, want %v", tt.name, got, tt.topic)
		}
		if got := rocketmq.CheckGroup(tt.name); got != tt.group {
			t.Errorf("group %.30q is %v, want %v", tt.name, got, tt.group)
		}
	}
}

func TestSystemNames(t *testing.T) {
	for _, tt := range []struct {
		name                       string
		system, forbidden, ofGroup bool
	}{
		{name: "orders"},
		{name: ""},
		{name: "xrmq_sys_"},
		{name: "TBW102", system: true},
		{name: "BenchmarkTest", system: true},
		{name: "CHECKPOINT_TOPIC", system: true},
		{name: "RMQ_SYS_TRACE_TOPIC", system: true},
		{name: "rmq_sys_wheel_timer", system: true},
		{name: "SCHEDULE_TOPIC_XXXX", system: true, forbidden: true},
		{name: "OFFSET_MOVED_EVENT", system: true, forbidden: true},
		{name: "CID_RMQ_SYS_TRANS", ofGroup: true},
	} {
		if got := rocketmq.IsSystemTopic(tt.name); got != tt.system {
			t.Errorf("%q is a system topic: %v", tt.name, got)
		}
		if got := rocketmq.IsForbiddenTopic(tt.name); got != tt.forbidden {
			t.Errorf("%q is forbidden: %v", tt.name, got)
		}
		if got := rocketmq.IsSystemGroup(tt.name); got != tt.ofGroup {
			t.Errorf("%q is a system group: %v", tt.name, got)
		}
	}
	if !rocketmq.IsRetryTopic("%RETRY%g") || rocketmq.IsRetryTopic("%DLQ%g") || rocketmq.IsRetryTopic("RETRY") {
		t.Error("retry topics are not told apart")
	}
}

func TestNameFaultString(t *testing.T) {
	for f, want := range map[rocketmq.NameFault]string{
		rocketmq.NameOK: "ok", rocketmq.NameBlank: "blank", rocketmq.NameBadChar: "bad character",
		rocketmq.NameTooLong: "too long", rocketmq.NameReserved: "reserved", 99: "unknown(99)",
	} {
		if got := f.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
