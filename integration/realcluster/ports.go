package realcluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports lie below the range from which the system takes those of outgoing connections (32768 and up on Linux). All
// have five digits, which the renaming proxy of the bench relies on.
const (
	firstPort = 20000
	slotSize  = 50 // ports of one cluster
	slots     = 240
)

// used are the ports of a cluster, counted from its base: the name server's and the controller's, each broker's port-2
// (VIP), port and port+1 (HA), the proxy's two, and the container's.
var used = []int{0, 1, 8, 10, 11, 18, 20, 21, 28, 30, 31, 40, 41, 42}

// ports are those of one cluster, from base on.
type ports struct {
	base int
	held net.Listener
}

// reserve finds ports that are free and that no other cluster of this machine is about to take. A start takes seconds
// from the look to the last bind, so a look alone is not enough. The reservation is a socket in Linux's abstract
// namespace: all processes see it, whatever their folder of temporary files is, and it ends with its process.
func reserve() (*ports, error) {
	start := rand.IntN(slots)
	for i := range slots {
		base := firstPort + (start+i)%slots*slotSize
		held, err := net.Listen("unix", fmt.Sprintf("@liftoff-rocketmq-%d", base))
		if err != nil {
			continue // somebody else's
		}
		if allFree(base) {
			return &ports{base: base, held: held}, nil
		}
		if err := held.Close(); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("no free ports for RocketMQ between 20000 and 32000")
}

func (p *ports) release() error { return p.held.Close() }

func allFree(base int) bool {
	for _, p := range used {
		l, err := net.Listen("tcp", local(base+p))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}
