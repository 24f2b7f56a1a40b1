package acl

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/filewatch"
	"github.com/liftoff-mq/liftoff/internal/logqueue"
)

// DefaultInterval is how often a [File] looks at its file.
const DefaultInterval = filewatch.DefaultInterval

// maxFile is the longest file, in bytes.
const maxFile = 64 << 10

// FileOption changes how a [File] watches.
type FileOption func(*File) error

// WithInterval sets how often the file is looked at, 10 ms to a day, [DefaultInterval] by
// default. A change is taken when two looks in a row have seen it.
func WithInterval(d time.Duration) FileOption {
	return func(f *File) error {
		if err := filewatch.Interval(d); err != nil {
			return fmt.Errorf("WithInterval: %w", err)
		}
		f.every = d
		return nil
	}
}

// WithLogger sets what a [File] logs to: each change, and once for each text of the file that
// cannot be used why the old credentials stay. Nil, the default, means silence.
func WithLogger(l *slog.Logger) FileOption {
	return func(f *File) error {
		f.log = logqueue.New(l)
		return nil
	}
}

// File gives the credentials of a regular file, and new ones when it changes. The file has a line
// for each of accessKey, secretKey and, if there is one, securityToken:
//
//	accessKey=orders
//	secretKey=...
//
// Blanks around names and values do not count. Empty lines and those that begin with # are
// passed over. Each line ends with a newline, the last one too: without it the file may be half
// written.
//
// It is a [core.Service], which the client starts and shuts down; several clients may share it.
// While one of them runs the file is read again and again, whole, so that it does not matter how
// it is replaced: written anew, by another file's being renamed, or by a change of symbolic
// links, as Kubernetes does with a Secret. What it has is used when two looks in a row have seen
// the same and it is valid. Anything else changes nothing: the old credentials stay, and the log
// and [File.Status] say why. Renaming a whole file to this name is the surest way to change it.
//
// It is safe for concurrent use. Credentials takes no lock and allocates nothing.
type File struct {
	path  string
	every time.Duration
	log   *slog.Logger
	now   atomic.Pointer[Credentials]
	loop  filewatch.Loop // runs while a client does

	// By the last look, and the last one that was used or refused. They are the loop's.
	seen, judged filewatch.Sight

	mu     sync.Mutex // guards what follows; nothing is called with it held
	status FileStatus
}

var (
	_ Provider       = (*File)(nil)
	_ core.Service   = (*File)(nil)
	_ core.Describer = (*File)(nil)
)

// FileStatus says what became of the file.
type FileStatus struct {
	// Path is the file's.
	Path string
	// Taken is when the credentials in use were read.
	Taken time.Time
	// Changes is how often the credentials were replaced since the first ones.
	Changes int
	// Err says why the file as it is now is not in use. Nil means that it is.
	Err error
}

// NewFile reads the file for the first time. It starts no goroutine. An error has everything
// that is wrong; of a file that cannot be used it has the lines, but not what is in them.
func NewFile(path string, options ...FileOption) (*File, error) {
	f := &File{path: path, every: DefaultInterval, log: logqueue.New(nil), seen: unseen, judged: unseen}
	var errs []error
	for i, o := range options {
		if o == nil {
			errs = append(errs, fmt.Errorf("option %d is nil", i))
			continue
		}
		errs = append(errs, o(f))
	}
	f.log = f.log.With("component", "rocketmq.acl", "file", path)
	c, err := credentials(filewatch.Look(path, maxFile))
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("acl: %s: %w", path, err)
	}
	f.now.Store(&c)
	f.status = FileStatus{Path: path, Taken: time.Now()}
	return f, nil
}

// Credentials implements [Provider]. It never fails.
func (f *File) Credentials() (Credentials, error) { return *f.now.Load(), nil }

// Status says what became of the file, by what was seen last.
func (f *File) Status() FileStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// Describe implements [core.Describer].
func (f *File) Describe() core.Description {
	return core.Description{Summary: "credentials of a file", Settings: []core.Setting{
		{Name: "file", Value: f.path}, {Name: "looked at", Value: "every " + f.every.String()},
	}}
}

// credentials are those of a text. No error has any of it.
func credentials(s filewatch.Sight) (Credentials, error) {
	if s.Err != "" {
		return Credentials{}, errors.New(s.Err)
	}
	if s.Text != "" && !strings.HasSuffix(s.Text, "\n") {
		return Credentials{}, errors.New("the last line does not end with a newline, so it may be half written")
	}
	values, errs := map[string]string{}, []error(nil)
	lines := bufio.NewScanner(bytes.NewReader([]byte(s.Text)))
	lines.Buffer(nil, maxFile+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		_, twice := values[name]
		switch {
		case !ok || name != "accessKey" && name != "secretKey" && name != "securityToken":
			errs = append(errs, fmt.Errorf("line %d: want accessKey=, secretKey= or securityToken=", n))
		case twice:
			errs = append(errs, fmt.Errorf("line %d: %s is given twice", n, name))
		default:
			values[name] = strings.TrimSpace(value)
		}
	}
	c := Credentials{
		AccessKey: values["accessKey"], SecretKey: NewSecret(values["secretKey"]), SecurityToken: NewSecret(values["securityToken"]),
	}
	return c, errors.Join(append(errs, c.Validate())...)
}

// unseen is what no look sees.
var unseen = filewatch.Sight{Err: "not looked yet"}

// look is one look at the file.
func (f *File) look(context.Context) {
	now := filewatch.Look(f.path, maxFile)
	settled := now == f.seen
	f.seen = now
	if settled && now != f.judged {
		f.judged = now
		f.take(now)
	}
}

// take uses what a text has, or says why not.
func (f *File) take(now filewatch.Sight) {
	c, err := credentials(now)
	old := f.now.Load()
	changed := err == nil && !c.equal(old)
	if changed {
		f.now.Store(&c)
	}
	f.mu.Lock()
	f.status.Err = err
	if changed {
		f.status.Taken = time.Now()
		f.status.Changes++
	}
	f.mu.Unlock()
	switch {
	case err != nil:
		f.log.Warn("credentials not replaced: the old ones stay", "access key", old.AccessKey, "err", err)
	case changed:
		f.log.Info("credentials replaced", "access key", c.AccessKey)
	}
}

// Start implements [core.Service]: the first one makes the file be watched.
func (f *File) Start(context.Context) error {
	f.loop.Start(f.every, f.look)
	return nil
}

// Shutdown implements [core.Service]: the last one ends the watching, waits for that and until
// the log handler has had every line.
func (f *File) Shutdown(ctx context.Context) error {
	if f.loop.Shutdown(ctx) != nil {
		return fmt.Errorf("acl: %s: a look at the file is under way: %w", f.path, core.ContextError(ctx))
	}
	if logqueue.Flush(ctx, f.log) != nil {
		return fmt.Errorf("acl: %s: the log handler did not return: %w", f.path, core.ContextError(ctx))
	}
	return nil
}
