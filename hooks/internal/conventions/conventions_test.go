package conventions_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/internal/conventions"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSchemaURL(t *testing.T) {
	if conventions.SchemaURL != semconv.SchemaURL {
		t.Errorf("schema %s, the tests compare with %s", conventions.SchemaURL, semconv.SchemaURL)
	}
}

// Every class has a name of its own that is fit for an attribute.
func TestErrorTypeOfEveryClass(t *testing.T) {
	seen := map[string]core.Class{}
	for c := core.ClassInvalid; c < core.ClassUnknown; c++ {
		got := conventions.ErrorType(&core.SendError{Class: c, Cause: errors.New("x")}).Value.AsString()
		if other, dup := seen[got]; dup || got == "" {
			t.Errorf("class %v has error type %q, as has %v", c, got, other)
		}
		seen[got] = c
	}
}

func TestErrorType(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{core.ErrInvalidMessage, "invalid_message"},
		{core.ErrNoRoute, "no_route"},
		{core.ErrCircuitOpen, "circuit_open"},
		{fmt.Errorf("deep: %w", &core.BrokerError{Code: rocketmq.CodeFlowControl}), "FLOW_CONTROL"},
		{&core.SendError{Class: core.ClassBusy, Cause: &core.BrokerError{Code: rocketmq.CodeSystemBusy}}, "SYSTEM_BUSY"},
		{&core.SendError{Class: core.ClassUnknown, Cause: fmt.Errorf("wrapped: %w", errors.New("x"))}, "*errors.errorString"},
		{&core.OperationError{Class: core.ClassNoRoute, Cause: core.ErrNoRoute}, "no_route"},
		{&core.OperationError{Class: core.ClassUnknown, Cause: errors.New("x")}, "*errors.errorString"},
		{&core.BrokerError{Class: core.ClassUnavailable}, "unavailable"}, // a protocol without codes
		{&core.PanicError{Step: "s", Value: 1}, "plugin"},
	}
	for _, tt := range tests {
		if got := conventions.ErrorType(tt.err); got != semconv.ErrorTypeKey.String(tt.want) {
			t.Errorf("%v has %v, want %q", tt.err, got, tt.want)
		}
	}
}

// word is a code of a protocol that has no numbers.
type word string

func (w word) String() string { return string(w) }

func TestResponseCode(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want []attribute.KeyValue
	}{
		{fmt.Errorf("x: %w", &core.BrokerError{Code: rocketmq.CodeSystemBusy}), []attribute.KeyValue{conventions.ResponseCodeKey.Int(2)}},
		{&core.BrokerError{Code: word("TOO_LATE")}, nil},
		{&core.BrokerError{}, nil},
		{core.ErrTimeout, nil},
		{nil, nil},
	} {
		if got := conventions.AppendResponseCode(nil, tt.err); !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	tests := []struct {
		addr         string
		server, peer []attribute.KeyValue
	}{
		{
			"10.0.0.1:10911",
			[]attribute.KeyValue{semconv.ServerAddress("10.0.0.1"), semconv.ServerPort(10911)},
			[]attribute.KeyValue{semconv.NetworkPeerAddress("10.0.0.1"), semconv.NetworkPeerPort(10911)},
		},
		{
			"[::1]:10911",
			[]attribute.KeyValue{semconv.ServerAddress("::1"), semconv.ServerPort(10911)},
			[]attribute.KeyValue{semconv.NetworkPeerAddress("::1"), semconv.NetworkPeerPort(10911)},
		},
		{"broker.local:10911", []attribute.KeyValue{semconv.ServerAddress("broker.local"), semconv.ServerPort(10911)}, nil},
		{"broker.local", []attribute.KeyValue{semconv.ServerAddress("broker.local")}, nil},
		{"10.0.0.1:99999", []attribute.KeyValue{semconv.ServerAddress("10.0.0.1")}, []attribute.KeyValue{semconv.NetworkPeerAddress("10.0.0.1")}},
		{"", nil, nil},
	}
	for _, tt := range tests {
		if got := conventions.AppendServer(nil, tt.addr); !slices.Equal(got, tt.server) {
			t.Errorf("server of %q: %v, want %v", tt.addr, got, tt.server)
		}
		if got := conventions.AppendPeer(nil, tt.addr); !slices.Equal(got, tt.peer) {
			t.Errorf("peer of %q: %v, want %v", tt.addr, got, tt.peer)
		}
	}
}
