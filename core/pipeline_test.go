package core_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// onion, ring and ear have one role each; both has two.
type (
	onion struct{ _ int }
	ring  struct{ _ int }
	ear   struct{ _ int }
	both  struct {
		onion
		ring
		ear
	}
)

func (onion) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, c)
}

func (ring) InterceptAttempt(ctx context.Context, a *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	return next(ctx, a)
}

func (ear) CallDone(context.Context, *core.CallReport) {}

func sampleSteps() []core.Step {
	return []core.Step{
		core.CallStep("otel.trace", core.StageObserve, both{}).WithAttempt(core.AttemptObserve, both{}),
		core.CallStep("otel.metrics", core.StageObserve, onion{}),
		core.CallStep("validate", core.StageGuard, onion{}),
		core.CallStep("limit", core.StageGuard, onion{}).After("validate"),
		core.CallStep("audit", core.StageGuard, onion{}).Before("validate"),
		core.CallStep("namespace", core.StageShape, onion{}),
		core.CallStep("compress.zlib", core.StageEncode, onion{}).Before("encrypt?"),
		core.AttemptStep("sendhook.audit", core.AttemptObserve, ring{}).After("otel.trace?"),
		core.AttemptStep("forbid.night", core.AttemptGuard, ring{}),
		core.AttemptStep("breaker", core.AttemptProtect, ring{}),
		core.ListenerStep("counter", ear{}),
	}
}

func TestPipelineOfShuffledStepsIsOne(t *testing.T) {
	steps := sampleSteps()
	first, err := core.Resolve(core.Order{}, steps...)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "pipeline.txt", first.String())
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		p, err := core.Resolve(core.Order{}, steps...)
		if err != nil {
			t.Fatal(err)
		}
		if p.String() != first.String() {
			t.Fatalf("another order of the same steps gave another pipeline:\n%s\nwant:\n%s", p, first)
		}
	}
}

func TestOrderIsTheApplicationsWord(t *testing.T) {
	order := core.Order{
		Call:    []string{"compress.zlib", "namespace", "validate", "otel.metrics", "limit", "audit", "otel.trace"},
		Attempt: []string{"breaker", "forbid.night", "sendhook.audit", "otel.trace"},
	}
	p, err := core.Resolve(order, sampleSteps()...)
	if err != nil {
		t.Fatal(err)
	}
	call, attempt := p.Names()
	if got, want := strings.Join(call, " "), strings.Join(order.Call, " "); got != want {
		t.Errorf("call order %q, want %q", got, want)
	}
	if got, want := strings.Join(attempt, " "), strings.Join(order.Attempt, " "); got != want {
		t.Errorf("attempt order %q, want %q", got, want)
	}
}

func TestResolveErrors(t *testing.T) {
	var typedNil *onion
	ok := core.CallStep("ok", core.StageGuard, onion{})
	tests := []struct {
		name  string
		order core.Order
		steps []core.Step
		want  []string // all of them, each naming its step
	}{
		{"empty name", core.Order{}, []core.Step{core.CallStep("", core.StageGuard, onion{})}, []string{`step ""`, "dotted"}},
		{"bad name", core.Order{}, []core.Step{core.CallStep("My Step", core.StageGuard, onion{})}, []string{`step "My Step"`, "dotted"}},
		{"duplicate", core.Order{}, []core.Step{ok, ok, ok}, []string{`step "ok": given more than once`}},
		{"empty", core.Order{}, []core.Step{{}}, []string{`step "": a name is dotted`, "it is empty"}},
		{"nil", core.Order{}, []core.Step{core.CallStep("a", core.StageGuard, nil)}, []string{`step "a": the interceptor is nil`}},
		{"typed nil", core.Order{}, []core.Step{core.CallStep("a", core.StageGuard, typedNil)}, []string{`step "a": the interceptor is nil`}},
		{"nil in attempt scope", core.Order{}, []core.Step{ok.WithAttempt(core.AttemptGuard, nil)}, []string{`step "ok": the attempt interceptor is nil`}},
		{"nil listener", core.Order{}, []core.Step{core.ListenerStep("a", (*ear)(nil))}, []string{`step "a": the listener is nil`}},
		{"no listener", core.Order{}, []core.Step{core.ListenerStep("a", 42)}, []string{`step "a": int is no listener`}},
		{"interceptor as listener", core.Order{}, []core.Step{core.ListenerStep("a", onion{})}, []string{`step "a"`, "is an interceptor as well: place it with CallStep"}},
		{"attempt interceptor as listener", core.Order{}, []core.Step{core.ListenerStep("a", ring{})}, []string{`step "a"`, "is an attempt interceptor as well: place it with WithAttempt"}},
		{"both, placed in one scope", core.Order{}, []core.Step{core.CallStep("a", core.StageGuard, passing{})}, []string{`step "a"`, "is an attempt interceptor as well"}},
		{"no stage", core.Order{}, []core.Step{core.CallStep("a", core.StageNone, onion{})}, []string{`step "a"`, "has no stage"}},
		{"no attempt stage", core.Order{}, []core.Step{core.AttemptStep("a", core.AttemptNone, ring{})}, []string{`step "a"`, "has no attempt stage"}},
		{"unknown stage", core.Order{}, []core.Step{core.CallStep("a", 99, onion{})}, []string{`step "a": unknown stage 99`}},
		{"unknown attempt stage", core.Order{}, []core.Step{core.AttemptStep("a", 99, ring{})}, []string{`step "a": unknown attempt stage 99`}},
		{"listener with neighbours", core.Order{}, []core.Step{ok, core.ListenerStep("a", ear{}).After("ok")}, []string{`step "a"`, "no meaning"}},
		{"listener between neighbours", core.Order{}, []core.Step{ok, core.ListenerStep("a", ear{}).After("ok").Before("ok")}, []string{`step "a"`, "no meaning"}},
		{"unknown neighbour", core.Order{}, []core.Step{core.CallStep("a", core.StageGuard, onion{}).After("ghost")}, []string{`step "a": neighbour "ghost" is unknown; no other step is in its stage`}},
		{"misspelt neighbour", core.Order{}, []core.Step{
			ok, core.CallStep("b", core.StageGuard, onion{}), core.CallStep("c", core.StageShape, onion{}),
			core.CallStep("a", core.StageGuard, onion{}).After("okk"),
		}, []string{`step "a": neighbour "okk" is unknown; the other steps of its stage are "b", "ok"`}},
		{"misspelt neighbour in two scopes", core.Order{}, []core.Step{
			ok, core.AttemptStep("b", core.AttemptGuard, ring{}),
			core.CallStep("a", core.StageGuard, onion{}).WithAttempt(core.AttemptGuard, ring{}).Before("okk"),
		}, []string{`step "a": neighbour "okk" is unknown; the other steps of its stages are "b", "ok"`}},
		{"neighbour in another stage", core.Order{}, []core.Step{ok, core.CallStep("a", core.StageShape, onion{}).After("ok")}, []string{`step "a" is in message scope, shape; "ok" is in message scope, guard: After and Before order neighbours of one stage only`}},
		{"neighbour in another scope", core.Order{}, []core.Step{ok, core.AttemptStep("a", core.AttemptGuard, ring{}).Before("ok")}, []string{`step "a" is in attempt scope, guard; "ok" is in message scope, guard: After and Before order`}},
		{"neighbour that listens", core.Order{}, []core.Step{
			core.ListenerStep("l", ear{}), core.CallStep("a", core.StageShape, onion{}).WithAttempt(core.AttemptGuard, ring{}).After("l"),
		}, []string{`step "a" is in message scope, shape, and in attempt scope, guard; "l" is in no stage, it only listens: After and Before order`}},
		{"cycle", core.Order{}, []core.Step{
			core.CallStep("a", core.StageGuard, onion{}).After("c"),
			core.CallStep("b", core.StageGuard, onion{}).After("a"),
			core.CallStep("c", core.StageGuard, onion{}).After("b"),
			core.CallStep("d", core.StageGuard, onion{}).After("c"),
		}, []string{"cycle", `"a"`, `"b"`, `"c"`}},
		{"own neighbour", core.Order{}, []core.Step{core.CallStep("a", core.StageGuard, onion{}).After("a")}, []string{"cycle", `"a" before "a"`}},
		{"order with unknown", core.Order{Call: []string{"ok", "ghost"}}, []core.Step{ok}, []string{`step "ghost": in the call order, but not a step`}},
		{"order with missing", core.Order{Call: []string{}}, []core.Step{ok}, []string{`step "ok": missing in the call order`}},
		{"order with duplicate", core.Order{Call: []string{"ok", "ok"}}, []core.Step{ok}, []string{`step "ok": twice in the call order`}},
		{"attempt order", core.Order{Attempt: []string{"ok"}}, []core.Step{ok}, []string{`step "ok": in the attempt order`}},
		{"several at once", core.Order{}, []core.Step{
			core.ListenerStep("a", 1),
			core.ListenerStep("b", onion{}),
			ok, ok,
			core.CallStep("c", core.StageGuard, onion{}).After("d", "ghost"),
			core.CallStep("d", core.StageGuard, onion{}).After("c"),
		}, []string{`step "a"`, `step "b"`, `step "ok": given more than once`, `"ghost" is unknown`, "cycle"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := core.Resolve(tt.order, tt.steps...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", path, got, want)
	}
}
