package remoting

import (
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
)

// What keeps a connection open at a sweep, and what does not.
func TestNeeded(t *testing.T) {
	now := time.Now()
	seen := conn.Usage{Sent: 10, BytesIn: 1000}
	for _, tt := range []struct {
		name    string
		usage   conn.Usage
		idle    time.Duration // since when there was no traffic
		offline bool
		want    bool
	}{
		{"traffic", conn.Usage{Sent: 11, BytesIn: 1100}, time.Hour, false, true},
		{"heartbeats only", conn.Usage{Sent: 10, BytesIn: 1100}, time.Hour, false, true},
		{"no traffic for a while", seen, time.Minute - 1, false, true},
		{"no traffic for the idle time", seen, time.Minute, false, false},
		{"no traffic, but a request under way", conn.Usage{Sent: 10, BytesIn: 1000, InFlight: 1}, time.Hour, false, true},
		{"offline", seen, 0, true, false},
		{"offline, heartbeats only", conn.Usage{Sent: 10, BytesIn: 1100}, 0, true, false},
		{"offline, with a send", conn.Usage{Sent: 11, BytesIn: 1100}, 0, true, true},
		{"offline, with a request under way", conn.Usage{Sent: 10, BytesIn: 1000, InFlight: 1}, 0, true, true},
		{"retired", conn.Usage{Sent: 11, BytesIn: 1100, Retired: true}, 0, false, false},
		{"retired, with a request under way", conn.Usage{Sent: 10, BytesIn: 1000, Retired: true, InFlight: 1}, time.Hour, true, true},
	} {
		cn := &connection{seen: seen, idleSince: now.Add(-tt.idle)}
		if got := cn.needed(tt.usage, now, tt.offline, time.Minute); got != tt.want {
			t.Errorf("%s: needed: %v", tt.name, got)
		}
		if cn.seen != seen {
			t.Errorf("%s: the question changed something", tt.name)
		}
	}
}

// Traffic and requests under way put the idle time off, silence does not.
func TestNoteUsage(t *testing.T) {
	now := time.Now()
	since := now.Add(-time.Hour)
	for _, tt := range []struct {
		name  string
		usage conn.Usage
		want  time.Time
	}{
		{"silence", conn.Usage{BytesIn: 1000}, since},
		{"bytes", conn.Usage{BytesIn: 1001}, now},
		{"a request under way", conn.Usage{BytesIn: 1000, InFlight: 1}, now},
	} {
		cn := &connection{seen: conn.Usage{BytesIn: 1000}, idleSince: since}
		if cn.note(tt.usage, now); cn.idleSince != tt.want || cn.seen != tt.usage {
			t.Errorf("%s: idle since %v ago", tt.name, now.Sub(cn.idleSince))
		}
	}
}
