package scale

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// The roles of the processes that a session starts from its own binary: the cluster, the producer, and the producer
// whose memory is weighed. Processor time and memory of a role are its own, and each run begins with a new heap.
const (
	roleServe = "role-serve"
	roleSend  = "role-send"
	roleWeigh = "role-weigh"
)

// Role plays the role that the arguments name, if they name one.
func Role(args []string) (done bool, err error) {
	if len(args) != 2 {
		return false, nil
	}
	var play func(spec []byte, out io.Writer) error
	switch args[0] {
	case roleServe:
		play = func(spec []byte, out io.Writer) error { return serve(spec, os.Stdin, out) }
	case roleSend:
		play = send
	case roleWeigh:
		play = weighOne
	default:
		return false, nil
	}
	return true, play([]byte(args[1]), os.Stdout)
}

// process is a role at work.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	said  strings.Builder
	kill  context.CancelFunc
	limit context.Context
}

// patience is how long a role may take: the largest point needs a few seconds.
const patience = 60 * time.Second

// begin starts a role with its spec.
func begin(ctx context.Context, role string, spec any) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	p := &process{}
	p.limit, p.kill = context.WithTimeout(ctx, patience)
	p.cmd = exec.CommandContext(p.limit, self, role, string(text))
	p.cmd.Stderr = &p.said
	p.cmd.WaitDelay = 5 * time.Second
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.out = bufio.NewReader(out)
		p.in, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// answer reads the one line of JSON that a role prints.
func (p *process) answer(to any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, to)
}

// end lets the role end and waits for it.
func (p *process) end() error {
	defer p.kill()
	_ = p.in.Close() // the role may have ended
	_, _ = io.Copy(io.Discard, p.out)
	if err := p.cmd.Wait(); err != nil {
		why := err
		if cause := context.Cause(p.limit); cause != nil {
			why = errors.Join(err, cause)
		}
		return fmt.Errorf("%s: %w\n%s", p.cmd.Args[1], why, strings.TrimSpace(p.said.String()))
	}
	return nil
}

// ask starts a role, takes its answer and waits for its end.
func ask(ctx context.Context, role string, spec, answer any) error {
	p, err := begin(ctx, role, spec)
	if err != nil {
		return err
	}
	err = p.answer(answer)
	if ended := p.end(); ended != nil {
		return ended // it says why there was no answer
	}
	return err
}
