package main

import (
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/bench/load"
)

// cell is one way to send, the same for all contenders.
type cell struct {
	name  string
	title string
	spec  load.Spec
	// contenders are those that can do it, "name" or "name+variant".
	contenders []string
	servers    servers       // one plain broker unless set
	roundTrip  time.Duration // of the network to the brokers, if it is not loopback's
	text       bool          // bodies of text, which compresses
	quick      bool          // part of --quick
}

// servers are what a cell runs against. Access control and TLS go with one broker.
type servers struct {
	brokers int // 1 unless set
	acl     bool
	tls     bool
}

// plain reports whether they take requests as they are, neither signed nor encrypted.
func (s servers) plain() bool { return !s.acl && !s.tls }

// topic is what is sent to. With access control it is the one that the sender may send to.
func (s servers) topic() string {
	if s.acl {
		return "allowed"
	}
	return "bench"
}

// cells are all cells, in the order in which they run.
func cells() []cell {
	all := []string{"limit", "liftoff", "goclient", "java"}
	secure := []string{"liftoff", "java"}
	joined := []string{"limit", "liftoff", "liftoff+autobatch"}
	paced := []string{"limit", "liftoff", "liftoff+pace", "goclient", "java"}
	var list []cell
	for _, size := range []int{1024, 128} {
		list = append(list, cell{
			name: fmt.Sprintf("sync-64-%d", size), title: fmt.Sprintf("sync, 64 callers, %s", bytes(size)),
			spec: load.Spec{Mode: load.Sync, InFlight: 64, Size: size}, contenders: all, quick: size == 1024,
		})
	}
	for _, inFlight := range []int{256, 1000} {
		for _, size := range []int{1024, 128} {
			list = append(list, cell{
				name:  fmt.Sprintf("async-%d-%d", inFlight, size),
				title: fmt.Sprintf("async, %d in flight, %s", inFlight, bytes(size)),
				spec:  load.Spec{Mode: load.Async, InFlight: inFlight, Size: size}, contenders: all,
				quick: inFlight == 1000 && size == 128,
			})
		}
	}
	return append(list,
		cell{
			name: "sync-1-1024", title: "sync, 1 caller, 1 KiB",
			spec: load.Spec{Mode: load.Sync, InFlight: 1, Size: 1024}, contenders: all,
		},
		cell{
			name: "batch-32-1024", title: "batches of 32, 16 callers, 1 KiB",
			spec: load.Spec{Mode: load.Sync, InFlight: 16, Size: 1024, Batch: 32}, contenders: all,
		},
		cell{
			name: "batch-32-128", title: "batches of 32, 16 callers, 128 B",
			spec: load.Spec{Mode: load.Sync, InFlight: 16, Size: 128, Batch: 32}, contenders: all, quick: true,
		},
		cell{
			name: "text-16k", title: "sync, 64 callers, 16 KiB of text",
			spec:       load.Spec{Mode: load.Sync, InFlight: 64},
			contenders: []string{"limit", "liftoff", "liftoff+zstd", "goclient", "java"}, text: true,
		},
		cell{
			name: "auto-64-1024", title: "auto-batch, 64 callers, 1 KiB",
			spec: load.Spec{Mode: load.Sync, InFlight: 64, Size: 1024}, contenders: joined,
		},
		cell{
			name: "auto-64-128", title: "auto-batch, 64 callers, 128 B",
			spec: load.Spec{Mode: load.Sync, InFlight: 64, Size: 128}, contenders: joined,
		},
		cell{
			name: "oneway-128", title: "one-way, 8 callers, 128 B",
			spec: load.Spec{Mode: load.Oneway, InFlight: 8, Size: 128}, contenders: paced,
		},
		cell{
			name: "far-256-1024", title: "sync, 256 callers, 1 KiB, 10 ms round trip",
			spec: load.Spec{Mode: load.Sync, InFlight: 256, Size: 1024}, contenders: all, roundTrip: 10 * time.Millisecond,
		},
		cell{
			name: "two-64-1024", title: "sync, 64 callers, 1 KiB, two brokers",
			spec: load.Spec{Mode: load.Sync, InFlight: 64, Size: 1024}, contenders: all, servers: servers{brokers: 2},
		},
		cell{
			name: "acl-64-1024", title: "sync, 64 callers, 1 KiB, access control",
			spec: load.Spec{Mode: load.Sync, InFlight: 64, Size: 1024}, contenders: secure, servers: servers{acl: true},
		},
		cell{
			name: "tls-64-1024", title: "sync, 64 callers, 1 KiB, TLS",
			spec: load.Spec{Mode: load.Sync, InFlight: 64, Size: 1024}, contenders: secure, servers: servers{tls: true},
		},
	)
}

func bytes(n int) string {
	if n >= 1024 {
		return fmt.Sprintf("%d KiB", n/1024)
	}
	return fmt.Sprintf("%d B", n)
}
