package acl_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// watched starts a file, and shuts it down when the test ends.
func watched(t *testing.T, path string, options ...acl.FileOption) *acl.File {
	t.Helper()
	f, err := acl.NewFile(path, options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

func secretOf(t *testing.T, f *acl.File) string {
	t.Helper()
	c, err := f.Credentials()
	if err != nil {
		t.Fatal(err)
	}
	return c.SecretKey.Reveal()
}

func text(secret string) string { return "accessKey=orders\nsecretKey=" + secret + "\n" }

// TestFileChanges: a valid change is used after two looks, and an invalid one changes nothing
// and is told once.
func TestFileChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		write(t, path, text("first"))
		var log lines
		f := watched(t, path, acl.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		step := func(what, secret string, changes int, wrong, logged string) {
			t.Helper()
			time.Sleep(2*acl.DefaultInterval + time.Millisecond) // virtual
			synctest.Wait()
			s := f.Status()
			if got := secretOf(t, f); got != secret || s.Changes != changes || s.Path != path {
				t.Errorf("%s: the secret key is %q after %d changes, want %q after %d", what, got, s.Changes, secret, changes)
			}
			if (s.Err == nil) != (wrong == "") || s.Err != nil && !strings.Contains(s.Err.Error(), wrong) {
				t.Errorf("%s: status %v, want %q", what, s.Err, wrong)
			}
			got := log.take()
			if strings.Count(got, "\n") > 1 || !strings.Contains(got, logged) || logged == "" && got != "" {
				t.Errorf("%s: logged %q, want one line with %q", what, got, logged)
			}
			for _, secret := range []string{"first", "second", "third", "fourth", "unfinished"} {
				if strings.Contains(got, secret) || s.Err != nil && strings.Contains(s.Err.Error(), secret) {
					t.Errorf("%s: a secret is shown: %q, %v", what, got, s.Err)
				}
			}
		}
		step("nothing happened", "first", 0, "", "")
		write(t, path, text("second"))
		step("another key", "second", 1, "", "credentials replaced")
		write(t, path, "# the same\n\n accessKey = orders \n secretKey = second\n")
		step("the same in other words", "second", 1, "", "")
		write(t, path, "accessKey=orders\n")
		step("half of the lines", "second", 1, "the secret key is missing", "the old ones stay")
		step("still half", "second", 1, "the secret key is missing", "")
		write(t, path, "accessKey=orders\nsecretKey=unfinished")
		step("half of a line", "second", 1, "half written", "half written")
		write(t, path, "")
		step("empty", "second", 1, "the access key is missing", "the access key is missing")
		write(t, path, text("third")+"third\n")
		step("a line of something else", "second", 1, "line 3: want accessKey=", "line 3")
		write(t, path, text("third")+"secretKey=fourth\n")
		step("twice", "second", 1, "line 3: secretKey is given twice", "line 3")
		write(t, path, text("third")+"# "+strings.Repeat("x", 64<<10)+"\n")
		step("too long", "second", 1, "more than 65536 bytes", "more than 65536")
		write(t, path, text("second"))
		step("the old text", "second", 1, "", "")
		write(t, path, "")
		step("the mistake again", "second", 1, "the access key is missing", "the access key is missing")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		step("no file", "second", 1, "no such file", "no such file")
		write(t, path, text("third")+"securityToken="+token+"\n")
		step("a file again", "third", 2, "", "credentials replaced")
		if c, err := f.Credentials(); err != nil || c.SecurityToken.Reveal() != token {
			t.Errorf("%v, %v", c, err)
		}
		if taken := time.Since(f.Status().Taken); taken > acl.DefaultInterval {
			t.Errorf("taken %v ago", taken)
		}
	})
}

// TestFileThatIsBeingWritten: what is there for one look only is not used, valid or not.
func TestFileThatIsBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		write(t, path, text("first"))
		f := watched(t, path)
		time.Sleep(acl.DefaultInterval / 2)
		for _, secret := range []string{"second", "third", "fourth"} {
			write(t, path, text(secret))
			time.Sleep(acl.DefaultInterval)
			if got := secretOf(t, f); got != "first" {
				t.Errorf("the secret key is %s after %s was there for one look", got, secret)
			}
		}
		time.Sleep(acl.DefaultInterval)
		synctest.Wait()
		if got := secretOf(t, f); got != "fourth" {
			t.Errorf("the secret key is %s", got)
		}
	})
}

// TestFileEmptiedBeforeTheFirstLook is told like every other mistake.
func TestFileEmptiedBeforeTheFirstLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		write(t, path, text("first"))
		f := watched(t, path, acl.WithInterval(time.Minute))
		write(t, path, "")
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if err := f.Status().Err; err != nil {
			t.Errorf("after one look: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := f.Status().Err; err == nil {
			t.Error("it is not told")
		}
	})
}

// TestFileOfSeveralClients: it is watched as long as one of them runs, and again when one
// starts.
func TestFileOfSeveralClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		write(t, path, text("first"))
		f, err := acl.NewFile(path)
		if err != nil {
			t.Fatal(err)
		}
		looks := func(secret string, want bool) {
			t.Helper()
			write(t, path, text(secret))
			time.Sleep(3 * acl.DefaultInterval)
			synctest.Wait()
			if got := secretOf(t, f) == secret; got != want {
				t.Errorf("%s is used: %t, want %t", secret, got, want)
			}
		}
		life := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		life(f.Shutdown(t.Context())) // of nobody
		looks("second", false)
		life(f.Start(t.Context()))
		life(f.Start(t.Context()))
		looks("third", true)
		life(f.Shutdown(t.Context()))
		looks("fourth", true)
		life(f.Shutdown(t.Context()))
		looks("fifth", false)
		life(f.Start(t.Context()))
		looks("sixth", true)
		life(f.Shutdown(t.Context()))
		life(f.Shutdown(t.Context()))
	})
}

// TestFileShutdownInTime: a log handler that does not return holds up no shutdown for longer than its
// context.
func TestFileShutdownInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		write(t, path, text("first"))
		stuck := make(chan struct{})
		f, err := acl.NewFile(path, acl.WithLogger(slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			<-stuck
			return len(p), nil
		}), nil))))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		write(t, path, text("second"))
		time.Sleep(3 * acl.DefaultInterval)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the log handler did not return") {
			t.Errorf("got %v", err)
		}
		close(stuck)
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestNewFile: all mistakes at once, and nothing of what the file has.
func TestNewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, "secret="+secretKey+"\nsecretKey="+secretKey+"\n"+secretKey+"\n")
	_, err := acl.NewFile(path, acl.WithInterval(time.Millisecond), nil, acl.WithInterval(25*time.Hour))
	for _, want := range []string{
		path, "WithInterval: 1ms is not between", "option 1 is nil", "WithInterval: 25h0m0s", "line 1: want accessKey=", "line 3: want", "the access key is missing",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), secretKey) {
		t.Errorf("it shows the secret key: %v", err)
	}
	if _, err := acl.NewFile(path + "x"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no file: %v", err)
	}
	if _, err := acl.NewFile(filepath.Dir(path)); err == nil {
		t.Error("a folder is a file")
	}
}
