// Package filewatch looks at a file again and again, for parts that use what a file has and
// take what changes in it while they run.
//
// The file is read whole at each look. So it does not matter how it is replaced: written anew,
// by another file's being renamed, or by a change of symbolic links, as Kubernetes does. What a
// look sees for the first time may be half of what somebody is writing. So a part uses a [Sight]
// only when the next look has seen the same.
package filewatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// DefaultInterval is how often a file is looked at.
const DefaultInterval = time.Second

// The limits of an interval.
const (
	leastInterval = 10 * time.Millisecond
	mostInterval  = 24 * time.Hour
)

// Interval says what is wrong with an interval, if something is.
func Interval(d time.Duration) error {
	if d < leastInterval || d > mostInterval {
		return fmt.Errorf("%v is not between %v and %v", d, leastInterval, mostInterval)
	}
	return nil
}

// Sight is what a look at a file has seen: its text, or why there is none. Sights are compared
// with ==.
type Sight struct{ Text, Err string }

// Look is one look at a file of at most so many bytes. The error does not have the path, which
// the caller knows.
func Look(path string, most int) Sight {
	text, err := Read(path, most)
	if with := (*os.PathError)(nil); errors.As(err, &with) {
		err = with.Err
	}
	if err != nil {
		return Sight{Err: err.Error()}
	}
	return Sight{Text: string(text)}
}

// Read reads a regular file of at most so many bytes. Its errors are those of package os, or say
// that the file has more, or is not regular. Pipes and devices are not opened: they may block for
// ever.
func Read(path string, most int) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil {
		err = regular(path, info)
	}
	if err != nil {
		return nil, err
	}
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil && len(text) > most {
		err = &os.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d bytes", most)}
	}
	return text, err
}

// open opens a file that was regular a moment ago. It does not block where that has changed.
func open(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = regular(path, info)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

var errNotRegular = errors.New("it is not a regular file")

func regular(path string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return &os.PathError{Op: "read", Path: path, Err: errNotRegular}
	}
	return nil
}

// Loop looks while it has users. The zero value is ready. It is safe for concurrent use.
type Loop struct {
	mu    sync.Mutex // nothing is called with it held
	users int
	end   context.CancelFunc // of the goroutine that looks
	ended chan struct{}
}

// Start counts a user in. The first one makes look be called at each interval, on a goroutine of
// the loop's; the context that look gets ends with the last user. With the interval 0 nothing is
// called.
func (l *Loop) Start(every time.Duration, look func(ctx context.Context)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users++
	if l.users > 1 || every == 0 {
		return
	}
	ctx, end := context.WithCancel(context.Background())
	before, ended := l.ended, make(chan struct{})
	l.end, l.ended = end, ended
	go func() {
		defer close(ended)
		if before != nil { // the goroutine of users before, which Shutdown did not wait for
			<-before
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				look(ctx)
			}
		}
	}()
}

// Shutdown counts a user out. The last one ends the looking, and waits until a look that is under
// way has returned. The error means that ctx ended first.
func (l *Loop) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	if l.users > 0 {
		l.users--
	}
	end, ended := l.end, l.ended
	if l.users > 0 || end == nil {
		l.mu.Unlock()
		return nil
	}
	l.end = nil
	l.mu.Unlock()
	end()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
