package steptest_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/steptest"
)

// bucket is a budget without mistakes, but for what it is told to make.
type bucket struct {
	mu       sync.Mutex
	tokens   int
	withdraw func(b *bucket, f *core.Failure) bool
	deposit  func(b *bucket)
	kept     []*core.Failure
}

const bucketSize = 20

func (b *bucket) Withdraw(f *core.Failure) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.withdraw(b, f)
}

func (b *bucket) Deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deposit(b)
}

func (b *bucket) take() bool {
	if b.tokens < 10 {
		return false
	}
	b.tokens -= 10
	return true
}

func (b *bucket) put() { b.tokens = min(b.tokens+1, 10*bucketSize) }

// budget makes a bucket with a mistake.
func budget(change func(tb steptest.TB, b *bucket)) func(tb steptest.TB) steptest.Budget {
	return func(tb steptest.TB) steptest.Budget {
		b := &bucket{tokens: 10 * bucketSize}
		b.withdraw = func(b *bucket, _ *core.Failure) bool { return b.take() }
		b.deposit = func(b *bucket) { b.put() }
		change(tb, b)
		return steptest.Budget{Budget: b, Most: 100, Refill: 50, Late: time.Millisecond}
	}
}

// unlocked is a budget without a lock: what it is told it may do at a time.
type unlocked struct {
	withdraw func() bool
	deposit  func()
}

func (u unlocked) Withdraw(*core.Failure) bool { return u.withdraw() }
func (u unlocked) Deposit()                    { u.deposit() }

func brokenBudgets() []broken[steptest.Budget] {
	return []broken[steptest.Budget]{
		{"", "", "", budget(func(steptest.TB, *bucket) {})},

		// B1
		{"blocks", "B1", "RetryBudget.Withdraw has not returned after 1ms", budget(func(tb steptest.TB, b *bucket) {
			over := freed(tb)
			b.withdraw = func(b *bucket, _ *core.Failure) bool {
				<-over
				return b.take()
			}
		})},
		{"blocks when it is empty", "B1", "RetryBudget.Withdraw has not returned", budget(func(tb steptest.TB, b *bucket) {
			over := freed(tb)
			b.withdraw = func(b *bucket, _ *core.Failure) bool {
				if b.tokens < 10 {
					<-over
				}
				return b.take()
			}
		})},
		{"panics in Deposit", "B1", "panic in RetryBudget.Deposit: boo", budget(func(_ steptest.TB, b *bucket) {
			b.deposit = func(*bucket) { panic("boo") }
		})},
		{"panics without a message", "B1", "panic in RetryBudget.Withdraw", budget(func(_ steptest.TB, b *bucket) {
			b.withdraw = func(b *bucket, f *core.Failure) bool { return f.Message.Topic != "" && b.take() }
		})},

		// B2
		{"grants everything", "B2", "101 retries are granted without a success; set Most", budget(func(_ steptest.TB, b *bucket) {
			b.withdraw = func(*bucket, *core.Failure) bool { return true }
		})},
		{"grants everything in an outage", "B2", "outage: 101 retries are granted without a success", budget(func(_ steptest.TB, b *bucket) {
			b.withdraw = func(b *bucket, f *core.Failure) bool { return f.Outage || b.take() }
		})},
		{"has no brim", "B2", "retries are granted in a row after 1000 successes", budget(func(_ steptest.TB, b *bucket) {
			b.deposit = func(b *bucket) { b.tokens += 2 }
		})},

		// B3
		{"is never refilled", "B3", "after 50 successes an empty budget grants no retry; set Refill", budget(func(_ steptest.TB, b *bucket) {
			b.deposit = func(*bucket) {}
		})},

		// B4
		{"has debts", "B4", "an empty budget granted a retry after 13 successes, and after 100 refusals not after as many", budget(
			func(_ steptest.TB, b *bucket) {
				refused := 0
				b.withdraw = func(b *bucket, _ *core.Failure) bool {
					if b.take() {
						return true
					}
					if refused++; refused%4 == 0 {
						b.tokens--
					}
					return false
				}
			})},

		// B5
		{"keeps failures", "B5", "a failure is still kept", budget(func(_ steptest.TB, b *bucket) {
			b.withdraw = func(b *bucket, f *core.Failure) bool {
				b.kept = append(b.kept, f)
				return b.take()
			}
		})},
		{"writes to failures", "B5", "RetryBudget.Withdraw wrote to the failure", budget(func(_ steptest.TB, b *bucket) {
			b.withdraw = func(b *bucket, f *core.Failure) bool {
				f.Attempt++
				return b.take()
			}
		})},
		{"writes to messages", "B5", "the Tag of message 0 is not what it was", budget(func(_ steptest.TB, b *bucket) {
			b.withdraw = func(b *bucket, f *core.Failure) bool {
				if f.Message != nil {
					f.Message.Tag = "mine"
				}
				return b.take()
			}
		})},

		// B6
		{"looks first and takes later", "B6", "8 goroutines together get", func(steptest.TB) steptest.Budget {
			var tokens atomic.Int64
			tokens.Store(20)
			return steptest.Budget{Most: 100, Refill: 50, Late: time.Millisecond, Budget: unlocked{
				func() bool {
					if tokens.Load() < 1 {
						return false
					}
					time.Sleep(time.Microsecond) // others look meanwhile
					tokens.Store(max(0, tokens.Load()-1))
					return true
				},
				func() { tokens.Store(min(20, tokens.Load()+1)) },
			}}
		}},
		{"cannot be asked twice at a time", "B6", "among others: panic in RetryBudget.Withdraw: one at a time", func(tb steptest.TB) steptest.Budget {
			inner := budget(func(steptest.TB, *bucket) {})(tb)
			var busy sync.Mutex
			b := inner.Budget
			inner.Budget = unlocked{func() bool {
				if !busy.TryLock() {
					panic("one at a time")
				}
				defer busy.Unlock()
				time.Sleep(time.Microsecond)
				return b.Withdraw(nil)
			}, b.Deposit}
			return inner
		}},

		// B7
		{"starts goroutines", "B7", "goroutines left", budget(func(_ steptest.TB, b *bucket) {
			b.deposit = func(b *bucket) {
				go time.Sleep(time.Hour)
				b.put()
			}
		})},
	}
}

// As for steps.
func TestBrokenBudgets(t *testing.T) { expectAll(t, steptest.BudgetRules(), brokenBudgets()) }

// codec packs with DEFLATE, unless it is told to do something else.
type codec struct {
	name   func() string
	append func(dst, src []byte) ([]byte, error)
	kept   [][]byte
}

func (c *codec) Name() string                           { return c.name() }
func (c *codec) Append(dst, src []byte) ([]byte, error) { return c.append(dst, src) }

func deflate(dst, src []byte) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	w, err := flate.NewWriter(out, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(src); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

func inflate(packed []byte) ([]byte, error) {
	return io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
}

// packing makes a codec with a mistake.
func packing(change func(tb steptest.TB, c *codec)) func(tb steptest.TB) steptest.Compressor {
	return func(tb steptest.TB) steptest.Compressor {
		c := &codec{name: func() string { return "mine" }, append: deflate}
		change(tb, c)
		return steptest.Compressor{Compressor: c, Unpack: inflate, Deterministic: true, Late: time.Millisecond}
	}
}

// appending is packing for mistakes in Append.
func appending(f func(dst, src []byte) ([]byte, error)) func(tb steptest.TB) steptest.Compressor {
	return packing(func(_ steptest.TB, c *codec) { c.append = f })
}

func brokenCompressors() []broken[steptest.Compressor] {
	return []broken[steptest.Compressor]{
		{"", "", "", packing(func(steptest.TB, *codec) {})},

		// C1
		{"blocks", "C1", "Compressor.Append has not returned after 1ms, for a body of 1 bytes", packing(func(tb steptest.TB, c *codec) {
			over := freed(tb)
			c.append = func(dst, src []byte) ([]byte, error) {
				<-over
				return deflate(dst, src)
			}
		})},
		{"panics at empty bodies", "C1", "panic in Compressor.Append", appending(func(dst, src []byte) ([]byte, error) {
			_ = src[0]
			return deflate(dst, src)
		})},
		{"cannot pack all", "C1", "Compressor.Append of a body of 1048576 bytes: too long", appending(func(dst, src []byte) ([]byte, error) {
			if len(src) > 500_000 {
				return nil, errors.New("too long")
			}
			return deflate(dst, src)
		})},

		// C2
		{"has no name", "C2", `the name "":`, packing(func(_ steptest.TB, c *codec) { c.name = func() string { return "" } })},
		{"has many names", "C2", `the name is ["a" "aa" "aaa"]`, packing(func(_ steptest.TB, c *codec) {
			name := ""
			c.name = func() string {
				name += "a"
				return name
			}
		})},

		// C3
		{"drops dst", "C3", "what was in a dst", appending(func(_, src []byte) ([]byte, error) { return deflate(nil, src) })},
		{"writes over dst", "C3", "what was in a dst", appending(func(dst, src []byte) ([]byte, error) { return deflate(dst[:0], src) })},
		{"packs dst as well", "C3", "behind a dst", appending(func(dst, src []byte) ([]byte, error) {
			return deflate(dst, append(bytes.Clone(dst), src...))
		})},

		{"scribbles on dst", "C3", "it wrote to what was in a dst", appending(func(dst, src []byte) ([]byte, error) {
			out, err := deflate(bytes.Clone(dst), src)
			if len(dst) > 0 {
				dst[0]++
			}
			return out, err
		})},
		{"packs into nothing", "C3", "a body of 1 bytes is packed into nothing", func(tb steptest.TB) steptest.Compressor {
			c := appending(func(dst, _ []byte) ([]byte, error) { return dst, nil })(tb)
			c.Unpack = nil
			return c
		}},

		// C4
		{"writes to src", "C4", "it wrote to a body of 1 bytes", appending(func(dst, src []byte) ([]byte, error) {
			out, err := deflate(dst, src)
			if len(src) > 0 {
				src[0]++
			}
			return out, err
		})},
		{"gives src back", "C4", "changes with the body", func(tb steptest.TB) steptest.Compressor {
			c := appending(func(dst, src []byte) ([]byte, error) {
				if len(dst) == 0 {
					return src, nil
				}
				return append(dst, src...), nil
			})(tb)
			c.Unpack = func(packed []byte) ([]byte, error) { return bytes.Clone(packed), nil }
			return c
		}},

		{"uses its buffer for short bodies again", "C4", "changes when another one is packed", packing(func(_ steptest.TB, c *codec) {
			var mu sync.Mutex
			var buffer []byte
			c.append = func(dst, src []byte) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				if len(dst) > 0 || len(src) > 100 {
					return deflate(dst, src)
				}
				var err error
				buffer, err = deflate(buffer[:0], src)
				return buffer, err
			}
		})},

		// C5
		{"cuts bodies", "C5", "is unpacked into another one", func(tb steptest.TB) steptest.Compressor {
			c := appending(func(dst, src []byte) ([]byte, error) { return deflate(dst, src[:min(len(src), 100_000)]) })(tb)
			c.Skip = map[string]string{"C3": "it unpacks as well"}
			return c
		}},

		// C6
		{"packs in two ways", "C6", "is packed in two ways", func(tb steptest.TB) steptest.Compressor {
			var n atomic.Int64
			c := appending(func(dst, src []byte) ([]byte, error) {
				out, err := deflate(append(dst, byte(n.Add(1))), src)
				return out, err
			})(tb)
			c.Unpack = func(packed []byte) ([]byte, error) { return inflate(packed[1:]) }
			return c
		}},

		// C7
		{"keeps bodies", "C7", "are still kept 1ms after Compressor.Append", packing(func(_ steptest.TB, c *codec) {
			var mu sync.Mutex
			c.append = func(dst, src []byte) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				c.kept = append(c.kept, src)
				return deflate(dst, src)
			}
		})},

		// C8
		{"cannot pack two at a time", "C8", "among others Compressor.Append: busy", func(tb steptest.TB) steptest.Compressor {
			var busy sync.Mutex
			return appending(func(dst, src []byte) ([]byte, error) {
				if !busy.TryLock() {
					return nil, errors.New("busy")
				}
				defer busy.Unlock()
				time.Sleep(time.Microsecond)
				return deflate(dst, src)
			})(tb)
		}},

		// C9
		{"starts goroutines", "C9", "goroutines left", appending(func(dst, src []byte) ([]byte, error) {
			go time.Sleep(time.Hour)
			return deflate(dst, src)
		})},
	}
}

// As for steps.
func TestBrokenCompressors(t *testing.T) {
	expectAll(t, steptest.CompressorRules(), brokenCompressors())
}
