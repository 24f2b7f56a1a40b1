//go:build unix

package conn

import (
	"errors"
	"io"
	"testing"
	"time"
)

// A write takes what the kernel takes, and never waits.
func TestWriteNow(t *testing.T) {
	near, far := sockets(t)
	s := newSocket(near)
	b := make([]byte, 64<<20)
	n, err := s.writeNow(b)
	if err != nil || n == 0 || n == len(b) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if n, err := s.writeNow(b); err != nil || n > 1<<20 {
		t.Errorf("%d bytes more, %v", n, err)
	}
	far.Close()
	near.Close()
	if _, err := s.writeNow(b); err == nil {
		t.Error("a closed socket takes bytes")
	}
}

// A read within a limit returns what is there, or nothing, and the end of the stream.
func TestReadWithin(t *testing.T) {
	near, far := sockets(t)
	s := newSocket(near)
	b := make([]byte, 100)
	start := time.Now()
	if n, err := s.readWithin(b, 20*time.Millisecond); n != 0 || err != nil || time.Since(start) < 20*time.Millisecond {
		t.Errorf("%d bytes, %v after %v", n, err, time.Since(start))
	}
	if n, err := s.readWithin(b, 0); n != 0 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := far.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if n, err := s.readWithin(b, time.Minute); n != 3 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	far.Close()
	if n, err := s.readWithin(b, time.Minute); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A read waits for as many bytes as it wants, and after the flush delay for any.
func TestReadSoonWaitsForEnough(t *testing.T) {
	near, far := sockets(t)
	s := newSocket(near)
	b := make([]byte, 100)
	if _, err := far.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if n, err := s.readSoon(b, busyPoll, 50); n != 3 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if d := time.Since(start); d < flushDelay {
		t.Errorf("it came back after %v", d)
	}
	if _, err := far.Write(make([]byte, 60)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.readSoon(b, busyPoll, 50); n != 60 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	// What comes after the wait in the kernel wakes Go's poller from the first byte on.
	go func() {
		time.Sleep(20 * time.Millisecond)
		_, _ = far.Write([]byte("x"))
	}()
	if n, err := s.readSoon(b, busyPoll, 50); n != 1 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A read that does not wait in the kernel wakes for any byte, also after one that waited
// for many.
func TestReadSoonForgetsTheLowWater(t *testing.T) {
	near, far := sockets(t)
	s := newSocket(near)
	b := make([]byte, 100)
	if _, err := far.Write(make([]byte, 60)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.readSoon(b, busyPoll, 50); n != 60 || err != nil || s.lowWater != 50 {
		t.Fatalf("%d bytes, %v, low water %d", n, err, s.lowWater)
	}
	go func() {
		time.Sleep(20 * time.Millisecond)
		_, _ = far.Write([]byte("x"))
	}()
	_ = near.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := s.readSoon(b, 0, 1); n != 1 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A wrapper may want to see every read and write.
func TestOnlyPlainSocketsAreUsedDirectly(t *testing.T) {
	near, _ := sockets(t)
	if newSocket(near) == nil {
		t.Error("a TCP connection is none")
	}
	if newSocket(&pipeEnd{near}) != nil {
		t.Error("a wrapper is one")
	}
}
