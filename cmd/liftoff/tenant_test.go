package main

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// The tenant and the unit come by flags or by the environment, and are in what is sent.
func TestSendOfATenant(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		env  map[string]string
	}{
		"flags":       {[]string{"--namespace-v2", "tenant-a", "--unit-name", "unit-1"}, nil},
		"environment": {nil, map[string]string{"LIFTOFF_NAMESPACE_V2": "tenant-a", "LIFTOFF_UNIT_NAME": "unit-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			c := embedded.New(t, embedded.Config{})
			if got := program(t, "a line\n", sendArgs(c, tt.args...)...); got.status != exitOK {
				t.Errorf("%+v", got)
			}
			for _, code := range []int{wire.GetRouteInfoByTopic, wire.SendMessageV2} {
				requests := c.Requests(code)
				if len(requests) == 0 {
					t.Errorf("no request %d", code)
				}
				for _, r := range requests {
					if f := r.Command.Ext; f.Get("ns") != "tenant-a" || f.Get("nsd") != "true" {
						t.Errorf("request %d has %v", code, f)
					}
				}
			}
			left := c.Requests(wire.UnregisterClient)
			if len(left) != 1 {
				t.Errorf("%d clients have left", len(left))
			}
			for _, r := range left {
				if id := r.Command.Ext.Get("clientID"); !strings.HasSuffix(id, "@unit-1") {
					t.Errorf("the client is %s", id)
				}
			}
		})
	}
	c := embedded.New(t, embedded.Config{})
	got := program(t, "a line\n", sendArgs(c, "--unit-name", "a b")...)
	if got.status == exitOK || !strings.Contains(got.err, `liftoff: --unit-name: UnitName is "a b"`) {
		t.Errorf("%+v", got)
	}
}
