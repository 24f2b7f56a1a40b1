package main

import (
	"reflect"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// Proxies by network are a mapping in YAML and JSON; in the environment they are text.
func TestSOCKSAsMapping(t *testing.T) {
	want := remoting.SOCKS{"10.0.0.0/8": {Addr: "p:1", Password: remoting.NewSecret("x")}}
	for library, decode := range decoders {
		if library == "caarlos0/env" {
			continue
		}
		var c remoting.Config
		if err := decode("socks:\n  10.0.0.0/8: {addr: \"p:1\", password: x}\n", &c); err != nil || !reflect.DeepEqual(c.SOCKS, want) {
			t.Errorf("%s: %v, %v", library, c.SOCKS, err)
		}
	}
}
