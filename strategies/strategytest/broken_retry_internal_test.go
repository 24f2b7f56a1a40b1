package strategytest

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

type policyFunc = core.RetryPolicyFunc

// thrice keeps every rule: three attempts, with a short pause between them.
func thrice(f *core.Failure) core.Decision {
	if f.Err == nil || f.Attempt > 2 || hopeless(f) {
		return core.Decision{}
	}
	return core.Decision{Retry: true, After: time.Millisecond}
}

// but is thrice with something that it does before.
func but(do func(f *core.Failure)) func() core.RetryPolicy {
	return decides(func(f *core.Failure) core.Decision {
		d := thrice(f)
		do(f)
		return d
	})
}

func decides(f policyFunc) func() core.RetryPolicy { return func() core.RetryPolicy { return f } }

// told hears of retries.
type told struct {
	policyFunc
	hear func(r *core.RetryReport)
}

func (p told) RetryScheduled(_ context.Context, r *core.RetryReport) { p.hear(r) }

func TestBrokenRetryPolicies(t *testing.T) {
	jam := newJammed()
	var kept atomic.Int64
	covered := ""
	for i, tt := range []struct {
		name  string
		make  func() core.RetryPolicy
		rules string
		says  string
		opts  RetryOptions
	}{
		{"good", decides(thrice), "", "", RetryOptions{}},
		{"good and hears", func() core.RetryPolicy { return told{thrice, func(*core.RetryReport) {}} }, "", "", RetryOptions{}},
		{"safe", decides(func(f *core.Failure) core.Decision {
			if !f.Certainty.Safe() {
				return core.Decision{}
			}
			return thrice(f)
		}), "", "", RetryOptions{SafeOnly: true}},
		{"restores, and says so", decides(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Attempt < 3 && !hopeless(f), Restore: true}
		}), "", "", RetryOptions{RestoresWeak: true}},
		{"asks for what the engine does not do", decides(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Attempt < 3 && !hopeless(f)} // also for a weak result
		}), "", "", RetryOptions{}},
		{"as many attempts as it may have", decides(attempts(7)), "", "", RetryOptions{MaxAttempts: 7}},
		{"as many without a pause as it may have", decides(unpaused(5)), "", "", RetryOptions{Unpaused: 4}},

		{"never ends", decides(func(f *core.Failure) core.Decision {
			d := core.Decision{Retry: f.Err != nil && !hopeless(f)}
			if d.Retry {
				d.After = time.Millisecond
			}
			return d
		}), "R1", "after 100 attempts it goes on with network, not-sent: rocketmq: cannot connect", RetryOptions{}},
		{"one attempt too many", decides(attempts(8)), "R1", "after 7 attempts it goes on", RetryOptions{MaxAttempts: 7}},
		{"never ends where a key fixes the queue", decides(func(f *core.Failure) core.Decision {
			if f.Consistent && f.Class == core.ClassBusy {
				return core.Decision{Retry: true, After: time.Second}
			}
			return thrice(f)
		}), "R1", "goes on with busy", RetryOptions{}},
		{"retries everything", decides(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Attempt < 3, Restore: true}
		}), "R2 R8", "it retries auth", RetryOptions{}},
		{"retries credentials", decides(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Attempt < 3 && f.Err != nil && f.Class != core.ClassRejected}
		}), "R2", "it retries auth", RetryOptions{}},
		{"waits and gives up", decides(func(f *core.Failure) core.Decision {
			d := thrice(f)
			d.After = time.Second
			return d
		}), "R3", "{Retry:false After:1s", RetryOptions{}},
		{"waits backwards", decides(func(f *core.Failure) core.Decision {
			d := thrice(f)
			d.After = -d.After
			return d
		}), "R3", "After:-1ms", RetryOptions{}},

		{"counts its calls", func() core.RetryPolicy {
			var asked atomic.Int64
			return policyFunc(func(f *core.Failure) core.Decision {
				if d := thrice(f); d.Retry && asked.Add(1)%3 != 0 {
					return d
				}
				return core.Decision{}
			})
		}, "R4", "later", RetryOptions{}},
		{"counts the attempts of a message", func() core.RetryPolicy {
			var mu sync.Mutex
			ids := map[*core.Message]int{}
			return policyFunc(func(f *core.Failure) core.Decision {
				mu.Lock()
				defer mu.Unlock()
				if ids[f.Message]++; ids[f.Message] > 1 {
					return core.Decision{}
				}
				return thrice(f)
			})
		}, "R4 R14", "later", RetryOptions{}},
		{"waits longer each time", func() core.RetryPolicy {
			var wait atomic.Int64
			return policyFunc(func(f *core.Failure) core.Decision {
				d := thrice(f)
				if d.Retry {
					d.After = time.Duration(wait.Add(int64(time.Millisecond)))
				}
				return d
			})
		}, "R4", "waits of up to", RetryOptions{}},
		{"waits less each time", func() core.RetryPolicy {
			var wait atomic.Int64
			wait.Store(int64(time.Hour))
			return policyFunc(func(f *core.Failure) core.Decision {
				d := thrice(f)
				if d.Retry {
					d.After = time.Duration(wait.Load())
					wait.Store(wait.Load()*999/1000 + 1)
				}
				return d
			})
		}, "R4", "waits of up to", RetryOptions{}},
		{"begins again", but(func(f *core.Failure) { f.Attempt = 1 }), "R5", "the failure", RetryOptions{}},
		{"changes the failure", but(func(f *core.Failure) { f.Untried = 99 }), "R5", "Untried:99", RetryOptions{}},
		{"changes the message", but(func(f *core.Failure) { f.Message.Properties = map[string]string{"retried": "yes"} }), "R5", "the message", RetryOptions{}},
		{"decides otherwise when two ask at once", func() core.RetryPolicy {
			var inside atomic.Int64
			return policyFunc(func(f *core.Failure) core.Decision {
				defer inside.Add(-1)
				alone := inside.Add(1) == 1
				for range 20 {
					runtime.Gosched()
				}
				if d := thrice(f); alone {
					return d
				}
				return core.Decision{}
			})
		}, "R6", "at the same time as others", RetryOptions{}},
		{"not safe", decides(thrice), "R7", "it retries network, maybe-stored", RetryOptions{SafeOnly: true}},
		{"takes not knowing for safe", decides(func(f *core.Failure) core.Decision {
			if f.Certainty > core.NotStored {
				return core.Decision{}
			}
			return thrice(f)
		}), "R7", "it retries network, unknown", RetryOptions{SafeOnly: true}},
		{"restores whatever it is", decides(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Attempt < 3 && !hopeless(f), Restore: true}
		}), "R8", "status FLUSH_DISK_TIMEOUT", RetryOptions{}},
		{"restores what no slave has", decides(func(f *core.Failure) core.Decision {
			if f.Status == core.SlaveNotAvailable {
				return core.Decision{Retry: f.Attempt < 3, Restore: true}
			}
			return thrice(f)
		}), "R8", "status SLAVE_NOT_AVAILABLE", RetryOptions{}},
		{"none", decides(nil), "R9", "the policy is nil", RetryOptions{}},
		{"nothing at all", func() core.RetryPolicy { return nil }, "R9", "the policy is nil", RetryOptions{}},
		{"goes where nobody knows", decides(func(f *core.Failure) core.Decision {
			d := thrice(f)
			if d.Retry && f.Class == core.ClassBusy {
				d.Reroute = core.SameQueue + 1
			}
			return d
		}), "R10", "3 after busy", RetryOptions{}},

		{"panics", decides(func(*core.Failure) core.Decision { panic("boo") }), "R11", "panic in core.RetryPolicyFunc.Next: boo", RetryOptions{}},
		{"takes every failure for a broker's answer", but(func(f *core.Failure) {
			if f.Err != nil {
				_ = f.Code.String()
			}
		}), "R11", "panic in core.RetryPolicyFunc.Next", RetryOptions{}},
		{"takes every failure for an error", but(func(f *core.Failure) { _ = f.Err.Error() }), "R11", "panic in core.RetryPolicyFunc.Next", RetryOptions{}},
		{"ends the goroutine", but(func(*core.Failure) { runtime.Goexit() }), "R11", "core.RetryPolicyFunc.Next ended its goroutine", RetryOptions{}},
		{"panics as a listener", func() core.RetryPolicy {
			return told{thrice, func(r *core.RetryReport) { panic("boo") }}
		}, "R11", "panic in strategytest.told.RetryScheduled: boo", RetryOptions{}},
		{"sleeps", but(func(f *core.Failure) { time.Sleep(time.Duration(f.Attempt) * time.Microsecond) }), "R12", "core.RetryPolicyFunc.Next waited for 1µs", RetryOptions{}},
		{"never returns", but(func(*core.Failure) { jam.wait() }), "R12", "core.RetryPolicyFunc.Next has not returned", RetryOptions{Limit: quick}},
		{"hammers a queue", hammers(func(f *core.Failure) bool { return f.Untried > 0 && !f.Consistent }, core.SameQueue), "R13", "49 attempts follow each other at one broker without a pause", RetryOptions{}},
		{"hammers the last broker", hammers(func(f *core.Failure) bool { return f.Untried == 0 && !f.Consistent }, core.AvoidBroker), "R13", "without a pause", RetryOptions{}},
		{"hammers the queue of a key", hammers(func(f *core.Failure) bool { return f.Untried > 0 && f.Consistent }, core.AvoidBroker), "R13", "without a pause", RetryOptions{}},
		{"one too many without a pause", decides(unpaused(6)), "R13", "5 attempts follow each other", RetryOptions{Unpaused: 4}},
		{"ends by time alone", decides(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Err != nil && !hopeless(f) && f.Elapsed < 2*time.Second}
		}), "R13", "without a pause", RetryOptions{}},
		{"keeps failures", func() core.RetryPolicy {
			var last atomic.Pointer[core.Failure]
			return policyFunc(func(f *core.Failure) core.Decision { last.Store(f); return thrice(f) })
		}, "R14", "keeps a call", RetryOptions{}},
		{"keeps messages", func() core.RetryPolicy {
			var last atomic.Pointer[core.Message]
			return policyFunc(func(f *core.Failure) core.Decision { last.Store(f.Message); return thrice(f) })
		}, "R14", "keeps the message", RetryOptions{}},
		{"remembers every error", func() core.RetryPolicy {
			var mu sync.Mutex
			var all []error
			return policyFunc(func(f *core.Failure) core.Decision {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, f.Err)
				return thrice(f)
			})
		}, "R14", "memory grows", RetryOptions{}},
		{"starts a goroutine for each decision", but(func(*core.Failure) { go kept.Add(1) }), "R15", "started 50 goroutines", RetryOptions{}},
	} {
		covered += " " + tt.rules
		t.Run(tt.name, func(t *testing.T) {
			sample(t, i)
			jam = newJammed()
			expect(t, tt.rules, tt.says, func() { jam.free() }, func(r *recorder) { TestRetryPolicy(r, tt.make, tt.opts) })
		})
	}
	allBroken(t, retryContract, covered)
}

// hammers makes fifty attempts without a pause after failures of a kind.
func hammers(kind func(f *core.Failure) bool, where core.Reroute) func() core.RetryPolicy {
	return decides(func(f *core.Failure) core.Decision {
		if f.Err == nil || hopeless(f) || !kind(f) {
			return core.Decision{}
		}
		return core.Decision{Retry: f.Attempt < 50, Reroute: where}
	})
}

// attempts is a policy of so many attempts, with pauses.
func attempts(n int) policyFunc {
	return func(f *core.Failure) core.Decision {
		if f.Err == nil || hopeless(f) || f.Attempt >= n {
			return core.Decision{}
		}
		return core.Decision{Retry: true, After: time.Millisecond}
	}
}

// unpaused is a policy of so many attempts at one queue, without pauses.
func unpaused(n int) policyFunc {
	return func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Err != nil && !hopeless(f) && f.Attempt < n, Reroute: core.SameQueue}
	}
}
