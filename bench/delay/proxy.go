// Package delay is a TCP proxy that makes a network slow: every byte arrives a fixed time after it was sent, in each
// direction, however many are under way.
package delay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Proxy forwards connections to one address.
type Proxy struct {
	ln     net.Listener
	to     string
	pump   func(dst io.Writer, src io.Reader) error
	answer func(dst io.Writer, src io.Reader) error

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	done  bool
	wg    sync.WaitGroup
}

// Line makes a proxy on loopback that holds every byte for oneWay, in each direction.
func Line(to string, oneWay time.Duration) (*Proxy, error) {
	pump := func(dst io.Writer, src io.Reader) error { return later(dst, src, oneWay) }
	return listen(to, pump, pump)
}

// Rename makes a proxy on loopback that replaces old by new in the answers: a name server then names another
// address. Both have one length, so that the frames' lengths stay right.
func Rename(to, old, new string) (*Proxy, error) {
	if len(old) != len(new) {
		return nil, errors.New("the names have different lengths")
	}
	plain := func(dst io.Writer, src io.Reader) error {
		_, err := io.Copy(dst, src)
		return err
	}
	return listen(to, plain, func(dst io.Writer, src io.Reader) error { return rename(dst, src, []byte(old), []byte(new)) })
}

func listen(to string, pump, answer func(io.Writer, io.Reader) error) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{ln: ln, to: to, pump: pump, answer: answer, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Close cuts every connection and waits for the proxy's goroutines.
func (p *Proxy) Close() error {
	err := p.ln.Close()
	p.mu.Lock()
	p.done = true
	for nc := range p.conns {
		_ = nc.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(in) })
	}
}

func (p *Proxy) serve(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer out.Close()
	if !p.keep(in, out) {
		return
	}
	defer p.forget(in, out)
	ended := make(chan struct{}, 2)
	p.wg.Go(func() { _ = p.pump(out, in); ended <- struct{}{} })
	p.wg.Go(func() { _ = p.answer(in, out); ended <- struct{}{} })
	<-ended // one direction's end is both directions' end
}

func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, nc := range conns {
		p.conns[nc] = struct{}{}
	}
	return !p.done
}

func (p *Proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, nc := range conns {
		delete(p.conns, nc)
	}
}

// chunk is what one read brought, and when it is due.
type chunk struct {
	b   []byte
	due time.Time
}

// later copies src to dst; each byte waits for d. The reader runs ahead by up to the channel's length.
func later(dst io.Writer, src io.Reader, d time.Duration) error {
	const ahead = 4096
	line := make(chan chunk, ahead)
	failed := make(chan error, 1)
	go func() {
		var err error
		for c := range line {
			if err == nil {
				time.Sleep(time.Until(c.due))
				_, err = dst.Write(c.b)
			}
		}
		failed <- err
	}()
	for {
		b := make([]byte, 64<<10)
		n, err := src.Read(b)
		if n > 0 {
			line <- chunk{b[:n:n], time.Now().Add(d)}
		}
		if err != nil {
			close(line)
			return errors.Join(err, <-failed)
		}
	}
}

// rename copies whole frames and replaces a text in them.
func rename(dst io.Writer, src io.Reader, old, new []byte) error {
	const most = 16 << 20
	for {
		frame := make([]byte, 4)
		if _, err := io.ReadFull(src, frame); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(frame)
		if n > most {
			return errors.New("a frame is too long")
		}
		frame = append(frame, make([]byte, n)...)
		if _, err := io.ReadFull(src, frame[4:]); err != nil {
			return err
		}
		if _, err := dst.Write(bytes.ReplaceAll(frame, old, new)); err != nil {
			return err
		}
	}
}
