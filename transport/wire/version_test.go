package wire_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// The ordinals are those of Java's MQVersion of 5.3.3.
func TestVersionText(t *testing.T) {
	for version, want := range map[int]string{
		wire.V4_5_2: "4.5.2", wire.V4_9_0: "4.9.0", wire.V4_9_8: "4.9.8", wire.V5_0_0: "5.0.0", wire.V5_3_3: "5.3.3", 407: "4.9.7", 511 + 2: "5.5.0",
		213: "4.0.0", 214: "4.0.1-SNAPSHOT", 410: "4.9.9-SNAPSHOT", 411: "4.9.9", 412: "5.0.0-SNAPSHOT", 480: "5.3.4-SNAPSHOT", 611: "5.9.9",
		1411: "9.9.9", 1412: "unknown(1412)", 212: "unknown(212)", 0: "unknown(0)", -1: "unknown(-1)", 1 << 30: "unknown(1073741824)",
	} {
		if got := wire.VersionText(version); got != want {
			t.Errorf("%d is %s, want %s", version, got, want)
		}
	}
}
