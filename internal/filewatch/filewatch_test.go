package filewatch_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/internal/filewatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRead(t *testing.T) {
	dir := t.TempDir()
	whole, long := filepath.Join(dir, "whole"), filepath.Join(dir, "long")
	for name, text := range map[string]string{whole: "12345678", long: "123456789"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := filewatch.Read(whole, 8); string(text) != "12345678" || err != nil {
		t.Errorf("a file of just so many bytes gives %q, %v", text, err)
	}
	for _, c := range []struct{ path, look string }{
		{long, "it has more than 8 bytes"},
		{filepath.Join(dir, "none"), fs.ErrNotExist.Error()},
		{dir, "not a regular file"},
	} {
		_, err := filewatch.Read(c.path, 8)
		var with *os.PathError
		if !errors.As(err, &with) || with.Path != c.path {
			t.Errorf("%s: the error %v does not have the path", c.path, err)
		}
		sight := filewatch.Look(c.path, 8)
		if sight.Text != "" || strings.Contains(sight.Err, dir) || sight.Err == "" {
			t.Errorf("%s: a look has %+v", c.path, sight)
		}
		if c.path != filepath.Join(dir, "none") && !strings.Contains(sight.Err, c.look) {
			t.Errorf("%s: a look has %q, want %q in it", c.path, sight.Err, c.look)
		}
	}
}

func TestInterval(t *testing.T) {
	for d, ok := range map[time.Duration]bool{
		0: false, -1: false, 10*time.Millisecond - 1: false, 10 * time.Millisecond: true,
		24 * time.Hour: true, 24*time.Hour + 1: false,
	} {
		if err := filewatch.Interval(d); (err == nil) != ok {
			t.Errorf("%v: %v", d, err)
		}
	}
}

// The loop looks from the first user's Start to the last one's Shutdown, and again for users that
// come later.
func TestUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loop filewatch.Loop
		var looks atomic.Int32
		look := func(context.Context) { looks.Add(1) }
		after := func(what string, want int32) {
			t.Helper()
			time.Sleep(3250 * time.Millisecond)
			if got := looks.Swap(0); got != want {
				t.Errorf("%s: %d looks in 3.25 s, want %d", what, got, want)
			}
		}
		stop := func() {
			t.Helper()
			if err := loop.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
		stop() // nobody uses it
		after("before anything", 0)
		for range 2 {
			loop.Start(time.Second, look)
			loop.Start(time.Second, look)
			after("two users", 3)
			stop()
			after("one user", 3)
			stop()
			after("no user", 0)
			stop()
		}
		loop.Start(0, look)
		after("an interval of 0", 0)
		stop()
	})
}

// A Shutdown whose context ends does not wait for a look, and the next users' looks wait for it.
func TestLookThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loop filewatch.Loop
		release := make(chan struct{})
		var ended, together atomic.Bool
		loop.Start(time.Second, func(ctx context.Context) {
			<-release
			ended.Store(ctx.Err() != nil)
		})
		time.Sleep(1500 * time.Millisecond)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough"))
		defer cancel()
		if err := loop.Shutdown(ctx); err == nil || err.Error() != "enough" {
			t.Errorf("Shutdown: %v, want the cause of the context's end", err)
		}
		var looks atomic.Int32
		loop.Start(time.Second, func(context.Context) {
			looks.Add(1)
			if !ended.Load() {
				together.Store(true)
			}
		})
		time.Sleep(5 * time.Second)
		if looks.Load() != 0 {
			t.Error("the new user's look did not wait for the old one's")
		}
		close(release)
		time.Sleep(1500 * time.Millisecond)
		if looks.Load() != 1 || together.Load() {
			t.Errorf("%d looks, beside the old one: %v; the old one's context must have ended", looks.Load(), together.Load())
		}
		if err := loop.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
