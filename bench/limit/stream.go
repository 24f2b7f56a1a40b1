package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/liftoff-mq/liftoff/bench/load"
)

const (
	// atOnce bounds the bytes of one write.
	atOnce = 256 << 10
	// silence is how long a broker may say nothing.
	silence = 10 * time.Second
)

// stream is one connection. One goroutine writes and reads, and blocks in the kernel: no poller, no wake-ups. Only a
// flood has a second one, which reads.
type stream struct {
	file     *os.File
	fd       int
	t        *template
	messages int // in a request
	inFlight int
	oneway   bool

	out    []byte          // copies of the template in a row
	copies int             // how many
	sent   []time.Time     // when request n was written, at n modulo the length
	took   []time.Duration // of the answers of one read
	next   uint32

	writes, reads atomic.Int64
}

func dial(addr string, t *template, inFlight, messages int, oneway bool) (*stream, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	f, err := nc.(*net.TCPConn).File() // its own descriptor, which blocks
	_ = nc.Close()
	if err != nil {
		return nil, err
	}
	s := &stream{file: f, fd: int(f.Fd()), t: t, messages: messages, inFlight: inFlight, oneway: oneway}
	limit := syscall.NsecToTimeval(silence.Nanoseconds())
	if err := syscall.SetsockoptTimeval(s.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit); err != nil {
		s.close()
		return nil, err
	}
	s.copies = min(max(atOnce/len(t.frame), 1), inFlight)
	for range s.copies {
		s.out = append(s.out, t.frame...)
	}
	s.sent = make([]time.Time, 4*inFlight) // answers may come out of order
	return s, nil
}

func (s *stream) close() { _ = s.file.Close() }

// run makes the load until the meter stops, and then reads what is left.
func (s *stream) run(m *load.Meter) error {
	if s.oneway {
		return s.flood(m)
	}
	in := make([]byte, 256<<10)
	have, under := 0, 0
	for {
		if !m.Stopped() {
			for under < s.inFlight {
				n := min(s.inFlight-under, s.copies)
				if err := s.write(n); err != nil {
					return err
				}
				under += n
			}
		}
		if under == 0 {
			return nil
		}
		n, err := syscall.Read(s.fd, in[have:])
		s.reads.Add(1)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("read: %w", err)
		case n == 0:
			return errors.New("the broker closed the connection")
		}
		have += n
		used, count, err := s.answers(in[:have], m)
		if err != nil {
			return err
		}
		under -= count
		have = copy(in, in[used:have])
	}
}

// flood writes one-way requests until the meter stops, and then ends the
// connection. A broker answers those that it drops: if nobody read that, it
// would stop reading in turn.
func (s *stream) flood(m *load.Meter) error {
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.drain(m)
	}()
	none := make([]time.Duration, s.copies) // nobody knows how long a one-way message takes
	var err error
	for err == nil && !m.Stopped() {
		if err = s.write(s.copies); err == nil {
			m.OKs(s.messages, none[:s.copies])
		}
	}
	// The broker closes its side when it has read the last request. After an error
	// there is nothing to wait for.
	how := syscall.SHUT_WR
	if err != nil {
		how = syscall.SHUT_RDWR
	}
	_ = syscall.Shutdown(s.fd, how) // fails on a connection that has ended, and then the reads do too
	<-drained
	return err
}

// drain reads and discards what the broker sends, until the connection ends or,
// when the load is over, the broker is silent.
func (s *stream) drain(m *load.Meter) {
	b := make([]byte, 256<<10)
	for {
		n, err := syscall.Read(s.fd, b)
		s.reads.Add(1)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN) && !m.Stopped():
		case err != nil || n == 0:
			return
		}
	}
}

// write sends n requests.
func (s *stream) write(n int) error {
	size := len(s.t.frame)
	now := time.Now()
	for i := range n {
		s.t.patch(s.out[i*size:(i+1)*size], s.next)
		s.sent[int(s.next)%len(s.sent)] = now
		s.next++
	}
	for b := s.out[:n*size]; len(b) > 0; {
		k, err := syscall.Write(s.fd, b)
		s.writes.Add(1)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("write: %w", err)
		}
		b = b[max(k, 0):]
	}
	return nil
}

// answers counts the whole answers in b. It returns how many bytes they take and how many they are.
func (s *stream) answers(b []byte, m *load.Meter) (used, count int, err error) {
	refused := 0
	s.took = s.took[:0]
	now := time.Now()
	for len(b)-used >= 4 {
		size := 4 + int(binary.BigEndian.Uint32(b[used:]))
		if size < smallest || size > cap(b) {
			return 0, 0, fmt.Errorf("an answer of %d bytes", size)
		}
		if len(b)-used < size {
			break
		}
		if n, err := success(b[used : used+size]); err != nil {
			m.Fail(err) // a broker that is busy refuses some
			refused++
		} else {
			s.took = append(s.took, now.Sub(s.sent[int(n)%len(s.sent)]))
		}
		used += size
	}
	m.OKs(s.messages, s.took)
	return used, len(s.took) + refused, nil
}
