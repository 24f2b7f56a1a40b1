package transporttest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/transporttest"
)

// rule finds a rule by its number.
func rule(t *testing.T, id string) transporttest.Rule {
	t.Helper()
	rules := transporttest.Rules()
	i := slices.IndexFunc(rules, func(r transporttest.Rule) bool { return r.ID == id })
	if i < 0 {
		t.Fatalf("there is no rule %s", id)
	}
	return rules[i]
}

// hostile is a transport with a method that does not do what a method should. The others
// are those of mem.
type hostile struct {
	*mem
	method string
	act    func()
}

func (h *hostile) misbehave(method string) {
	if h.method == method {
		h.act()
	}
}

func (h *hostile) Start(ctx context.Context) error {
	h.misbehave("Start")
	return h.mem.Start(ctx)
}

func (h *hostile) Shutdown(ctx context.Context) error {
	h.misbehave("Shutdown")
	return h.mem.Shutdown(ctx)
}

func (h *hostile) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	h.misbehave("RoundTrip")
	return h.mem.RoundTrip(ctx, at)
}

func (h *hostile) Route(ctx context.Context, topic string) (*core.Route, error) {
	h.misbehave("Route")
	return h.mem.Route(ctx, topic)
}

func (h *hostile) Capabilities() core.Capabilities {
	h.misbehave("Capabilities")
	return core.Capabilities{}
}

// Whatever a method does, the test goes on, and the failure names the rule and the method.
func TestHostile(t *testing.T) {
	for _, tt := range []struct {
		method, how, rule, says string
	}{
		{"RoundTrip", "blocks", "T1", "T1 answer: stored: it is not over in its time: Transport.RoundTrip has not returned"},
		{"RoundTrip", "blocks", "T8", "T8 abort: unanswered: it is not over in its time: Transport.RoundTrip has not returned"},
		{"RoundTrip", "panics", "T1", "T1 answer: stored: panic in Transport.RoundTrip: boo"},
		{"RoundTrip", "exits", "T1", "T1 answer: stored: a message that is stored gives neither a result nor an error"},
		{"Route", "blocks", "R1", "R1 route: known: it is not over in its time: RouteSource.Route has not returned"},
		{"Route", "panics", "R1", "R1 route: known: panic in RouteSource.Route: boo"},
		{"Route", "exits", "R1", "R1 route: known: RouteSource.Route ended its goroutine"},
		{"Start", "blocks", "T1", "T1 answer: stored: it is not over in its time: *transporttest_test.hostile.Start has not returned"},
		{"Start", "panics", "T1", "T1 answer: stored: panic in *transporttest_test.hostile.Start: boo"},
		{"Shutdown", "blocks", "T14", "T14 end: closed: it is not over in its time: *transporttest_test.hostile.Shutdown has not returned"},
		{"Shutdown", "panics", "T14", "T14 end: closed: panic in *transporttest_test.hostile.Shutdown: boo"},
		{"Capabilities", "panics", "T2", "T2 message: delay: panic in *transporttest_test.hostile.Capabilities: boo"},
		{"Capabilities", "panics", "T1", "a producer with the transport does not start"},
	} {
		t.Run(tt.method+" "+tt.how+" "+tt.rule, func(t *testing.T) {
			synctest.Test(t, func(*testing.T) {
				rec := &recorder{}
				rule(t, tt.rule).Test(rec, func(tb transporttest.TB) transporttest.World {
					freed := make(chan struct{})
					w := world(tb, "")
					tb.Cleanup(func() { close(freed) })
					h := &hostile{w.Transport.(*mem), tt.method, map[string]func(){
						"blocks": func() { <-freed },
						"panics": func() { panic("boo") },
						"exits":  runtime.Goexit,
					}[tt.how]}
					w.Transport, w.Routes = h, h
					return w
				})
				if all := strings.Join(rec.failures, "\n"); !strings.Contains(all, tt.says) {
					t.Errorf("no failure says %q:\n%s", tt.says, all)
				}
			})
		})
	}
}

// A Shutdown that blocks is the business of T14 alone. Other rules only note it.
func TestBlockedEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		rule(t, "T3").Test(rec, func(tb transporttest.TB) transporttest.World {
			freed := make(chan struct{})
			w := world(tb, "")
			tb.Cleanup(func() { close(freed) })
			h := &hostile{w.Transport.(*mem), "Shutdown", func() { <-freed }}
			w.Transport, w.Routes = h, h
			return w
		})
		if all := strings.Join(rec.logs, "\n"); len(rec.failures) > 0 || !strings.Contains(all, "hostile.Shutdown does not return when the check ends") {
			t.Errorf("failures %q, logs %q", rec.failures, rec.logs)
		}
	})
}

// What is wrong with a world fails every rule, and says what it is.
func TestBadWorld(t *testing.T) {
	good := func() transporttest.World { return world(&recorder{}, "") }
	for says, open := range map[string]func(tb transporttest.TB) transporttest.World{
		"the world has no Transport": func(transporttest.TB) transporttest.World { return transporttest.World{} },
		"the world has no Routes": func(transporttest.TB) transporttest.World {
			return transporttest.World{Transport: newMem(""), Routes: (*mem)(nil), Topic: "T"}
		},
		"the world has no Topic": func(transporttest.TB) transporttest.World {
			return transporttest.World{Transport: newMem(""), Routes: newMem("")}
		},
		`names "T99"`: func(transporttest.TB) transporttest.World {
			w := good()
			w.Skip = map[string]string{"T99": "no such rule"}
			return w
		},
		`gives no reason for T1/lost`: func(transporttest.TB) transporttest.World {
			w := good()
			w.Skip = map[string]string{"T1/lost": ""}
			return w
		},
		"panic in the world's open: boo": func(transporttest.TB) transporttest.World { panic("boo") },
		"no server": func(tb transporttest.TB) transporttest.World {
			tb.Fatalf("no server")
			return transporttest.World{}
		},
		"panic in the world's cleanup: boo": func(tb transporttest.TB) transporttest.World {
			tb.Cleanup(func() { panic("boo") })
			return good()
		},
		"the world's open ended its goroutine": func(transporttest.TB) transporttest.World {
			runtime.Goexit()
			return transporttest.World{}
		},
		"unstarted.Start: no": func(transporttest.TB) transporttest.World {
			return transporttest.World{Transport: &unstarted{}, Routes: newMem(""), Topic: "T"}
		},
	} {
		rec := &recorder{}
		rule(t, "R1").Test(rec, open)
		if all := strings.Join(rec.failures, "\n"); !strings.Contains(all, says) {
			t.Errorf("no failure says %q:\n%s", says, all)
		}
	}
}

// unstarted is a service that does not start.
type unstarted struct{ coretest.Transport }

func (*unstarted) Start(context.Context) error    { return errors.New("no") }
func (*unstarted) Shutdown(context.Context) error { return nil }

// A world with nothing but what is required passes, and each thing that it lacks is named.
func TestSmallWorld(t *testing.T) {
	_, rec := verdict(t, func(transporttest.TB) transporttest.World {
		return transporttest.World{Transport: plain{newMem("")}, Routes: newMem(""), Topic: "T", Late: time.Millisecond}
	})
	if len(rec.failures) > 0 {
		t.Errorf("%q", rec.failures)
	}
	all := strings.Join(slices.Concat(rec.skipped, rec.logs), "\n")
	for _, says := range []string{
		"T2 message: skipped: the world has no Serve, so nobody knows what arrives",
		"T13 network: skipped: refusing: the world has no Refusing; lost: the world has no Serve",
		"T14 end: skipped: the transport is no core.Service",
		"T1 answer: skipped: refused, lost: the world has no Serve",
		"T6 deadline: skipped: unanswered: the world has no Serve, so nobody knows what arrives; connecting, send-by: the world has no Silent; writing: the world has no Deaf",
		"R2 unknown: skipped: the world has no UnknownTopic",
		"R4 context: skipped: hanging: the world has no HangRoutes",
	} {
		if !strings.Contains(all, says) {
			t.Errorf("nothing says %q:\n%s", says, all)
		}
	}
}

// plain is a transport without any other method.
type plain struct{ t core.Transport }

func (p plain) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	return p.t.RoundTrip(ctx, at)
}

// lacking is a transport that cannot carry some things.
type lacking struct {
	*mem
	lacks core.Capabilities
}

func (l *lacking) Capabilities() core.Capabilities { return l.lacks }

// wrapping hides what it wraps, but tells of it.
type wrapping struct{ plain }

// Unwrap implements [core.Wrapper].
func (w wrapping) Unwrap() any { return w.t }

// What the transport says that it lacks is not asked of it, also behind a wrapper. What the
// far end cannot do, and what the author leaves out, has its reason shown.
func TestSkips(t *testing.T) {
	failed, rec := verdict(t, func(tb transporttest.TB) transporttest.World {
		w := world(tb, "forgets MarkWritten")
		l := &lacking{w.Transport.(*mem), core.Capabilities{
			Lacks:  []core.Feature{core.FeatureOneway, core.FeatureBatch, core.FeatureDelayLevel, core.FeatureDeliverAt},
			Codecs: []string{},
		}}
		w.Transport, w.Routes = wrapping{plain{l}}, l
		w.Cannot = map[transporttest.Kind]string{transporttest.Cut: "there are no connections"}
		w.Skip = map[string]string{"T5": "a known bug", "T8/writing": "another one"}
		return w
	})
	if len(failed) > 0 {
		t.Errorf("%q", rec.failures)
	}
	all := strings.Join(slices.Concat(rec.skipped, rec.logs), "\n")
	for _, says := range []string{
		"T9 one-way: skipped: the transport's Capabilities lack oneway",
		"T10 batch: skipped: the transport's Capabilities lack batch",
		"T2 message: skipped: delay: the transport's Capabilities lack delay-level",
		"T13 network: skipped: lost: the far end cannot Cut: there are no connections",
		"T5 written: skipped: a known bug",
		"T8 abort: skipped: writing: another one",
	} {
		if !strings.Contains(all, says) {
			t.Errorf("nothing says %q:\n%s", says, all)
		}
	}
}

// The rules here are those of the contracts in core, and those of the package comment.
func TestRulesAreThoseOfCore(t *testing.T) {
	contracts, err := os.ReadFile("../../core/transport.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, r := range transporttest.Rules() {
		want[r.String()] = true
		var checks []string
		for _, c := range r.Checks() {
			checks = append(checks, strings.TrimPrefix(c, r.ID+"/"))
		}
		line := fmt.Sprintf("%-3s %-12s %s\n", r.ID, r.Word, strings.Join(checks, ", "))
		if !strings.Contains(string(doc), line) {
			t.Errorf("the package comment does not have the line %q", line)
		}
	}
	got := map[string]bool{}
	for line := range strings.Lines(string(contracts)) {
		if text, ok := strings.CutPrefix(line, "//   - "); ok {
			name, _, _ := strings.Cut(text, ":")
			got[name] = true
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("core has %v,\nthe kit %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

// Test makes a sub-test of each rule.
func TestSubTests(t *testing.T) {
	sub := &subTests{}
	transporttest.Test(sub, func(transporttest.TB) transporttest.World {
		return transporttest.World{} // nothing is sent
	})
	if len(sub.names) != len(transporttest.Rules()) || sub.names[4] != "T5 written" {
		t.Errorf("%q", sub.names)
	}
	if n := len(sub.failures); n < len(sub.names) {
		t.Errorf("%d failures of a world without anything", n)
	}
}

type subTests struct {
	recorder
	names []string
}

func (s *subTests) Run(name string, f func(s *subTests)) bool {
	s.names = append(s.names, name)
	f(s)
	return true
}
