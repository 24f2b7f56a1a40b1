package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// startBroker runs "liftoff broker" until stop, and gives what it printed up to
// "ready".
func startBroker(t *testing.T, args ...string) (lines []string, stop func() output) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var diag lockedBuffer
	ended := make(chan int, 1)
	go func() {
		status := Run(ctx, append([]string{"broker"}, args...), strings.NewReader(""), w, &diag)
		_ = w.Close()
		ended <- status
	}()
	scanner := bufio.NewScanner(r)
	for scanner.Scan() && scanner.Text() != "ready" {
		lines = append(lines, scanner.Text())
	}
	stop = func() output {
		cancel()
		rest, _ := io.ReadAll(r)
		return output{<-ended, string(rest), diag.String()}
	}
	if scanner.Text() != "ready" {
		t.Fatalf("not ready: %+v", stop())
	}
	return lines, stop
}

// fields finds the lines that begin with a word and gives the rest of each.
func fields(lines []string, word string) (rest []string) {
	for _, l := range lines {
		if r, ok := strings.CutPrefix(l, word+" "); ok {
			rest = append(rest, r)
		}
	}
	return rest
}

// What is sent to "liftoff broker" is there at the end, and it says so.
func TestBrokerServesUntilInterrupted(t *testing.T) {
	lines, stop := startBroker(t, "--listen", "127.0.0.1:0", "--brokers", "2")
	servers, brokers := fields(lines, "nameserver"), fields(lines, "broker")
	if len(servers) != 1 || len(brokers) != 2 || len(lines) != 3 {
		t.Fatalf("printed %q, want one name server and two brokers", lines)
	}
	for i, b := range brokers {
		var name, addr string
		if _, err := fmt.Sscan(b, &name, &addr); err != nil || name != []string{"broker-a", "broker-b"}[i] {
			t.Errorf("broker line %q: %v", b, err)
		}
		if host, port, err := net.SplitHostPort(addr); err != nil || host != "127.0.0.1" || port == "0" {
			t.Errorf("broker address %q: %v", addr, err)
		}
	}
	sent := program(t, "one\ntwo\nthree\n", "send", "--namesrv", servers[0], "--topic", "orders")
	if sent.status != exitOK {
		t.Errorf("send: %+v", sent)
	}
	got := stop()
	if got.status != exitOK || got.out != "" {
		t.Errorf("after the interrupt: %+v", got)
	}
	if !strings.Contains(got.err, "stored 3 messages") || !strings.Contains(got.err, "orders 3") {
		t.Errorf("the summary is %q", got.err)
	}
	if conn, err := net.Dial("tcp", servers[0]); err == nil {
		_ = conn.Close()
		t.Errorf("%s still answers", servers[0])
	}
}

func TestBrokerListensWhereItIsTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	taken := program(t, "", "broker", "--listen", addr)
	if taken.status != exitFail || !strings.Contains(taken.err, addr) || taken.out != "" {
		t.Errorf("with the port taken: %+v", taken)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lines, stop := startBroker(t, "--listen", addr)
	if got := fields(lines, "nameserver"); len(got) != 1 || got[0] != addr {
		t.Errorf("name server at %q, want %s", got, addr)
	}
	if got := stop(); got.status != exitOK || !strings.Contains(got.err, "stored 0 messages") {
		t.Errorf("after the interrupt: %+v", got)
	}
}

func TestBrokerOpenToOthersOnlyIfAsked(t *testing.T) {
	lines, stop := startBroker(t, "--listen", "0.0.0.0:0", "--advertise", "127.0.0.1", "--allow-remote")
	for _, b := range fields(lines, "broker") {
		if !strings.Contains(b, " 127.0.0.1:") {
			t.Errorf("broker line %q, want the advertised host", b)
		}
	}
	if got := stop(); got.status != exitOK {
		t.Errorf("after the interrupt: %+v", got)
	}
}

// The waiting times of delayed messages and retries can be those of a broker's configuration.
func TestBrokerDelayLevels(t *testing.T) {
	for _, levels := range []string{" ", "1", "1s,5s", "5ms"} {
		if got := program(t, "", "broker", "--listen", "127.0.0.1:0", "--delay-levels", levels); got.status != exitUsage || !strings.Contains(got.err, "--delay-levels") {
			t.Errorf("%q: %+v", levels, got)
		}
	}
	lines, stop := startBroker(t, "--listen", "127.0.0.1:0", "--delay-levels", "1h 0s")
	sent := program(t, `{"body":"x","delayLevel":2}`, "send", "--namesrv", fields(lines, "nameserver")[0], "--topic", "orders", "--format", "json")
	if sent.status != exitOK {
		t.Errorf("send: %+v", sent)
	}
	// The second level is over at once, and the broker moves the message in the background.
	var name, addr string
	if _, err := fmt.Sscan(fields(lines, "broker")[0], &name, &addr); err != nil {
		t.Fatal(err)
	}
	for ask := asker(t, addr); ; time.Sleep(time.Millisecond) {
		stored := int64(0)
		for queue := range 4 {
			n, _ := strconv.ParseInt(ask(wire.GetMaxOffset, wire.Fields{{Key: "topic", Value: "orders"}, {Key: "queueId", Value: strconv.Itoa(queue)}}).Ext.Get("offset"), 10, 64)
			stored += n
		}
		if stored == 1 {
			break
		}
	}
	if got := stop(); got.status != exitOK || !strings.Contains(got.err, "orders 1") {
		t.Errorf("after the interrupt: %+v", got)
	}
}

// asker asks a broker.
func asker(t *testing.T, addr string) func(code int, fields wire.Fields) wire.Command {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	answers := wire.NewReader(conn, 0)
	return func(code int, fields wire.Fields) wire.Command {
		t.Helper()
		frame, err := wire.AppendCommand(nil, &wire.Command{Code: code, Opaque: 1, Language: wire.LanguageGo, Version: wire.V5_3_3, Ext: fields})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		answer, err := answers.Next()
		if err != nil {
			t.Fatal(err)
		}
		cmd, err := wire.ParseFrame(answer)
		if err != nil {
			t.Fatal(err)
		}
		return cmd
	}
}

// What the broker refused was seen by the client alone, which often hides it.
func TestBrokerSaysWhatItRefuses(t *testing.T) {
	lines, stop := startBroker(t, "--listen", "127.0.0.1:0")
	var name, addr string
	if _, err := fmt.Sscan(fields(lines, "broker")[0], &name, &addr); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := wire.NewReader(conn, 0)
	for i, code := range []int{wire.QueryBrokerOffset, wire.PopMessage, wire.QueryBrokerOffset} {
		frame, err := wire.AppendCommand(nil, &wire.Command{Code: code, Opaque: int32(i), Language: wire.LanguageJava, Version: wire.V5_3_3})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		if _, err := answers.Next(); err != nil {
			t.Fatal(err)
		}
	}
	got := stop()
	want := fmt.Sprintf(`broker-a refuses request 13 of a JAVA client at %[1]v: no "query broker offset" here (said once)
broker-a refuses request 200050 of a JAVA client at %[1]v: no "pop message" here (said once)
stored 0 messages
`, conn.LocalAddr())
	if got.err != want {
		t.Errorf("printed %q, want %q", got.err, want)
	}
}

// The brokers' ports could not be chosen, so that no container could publish them.
func TestBrokerPorts(t *testing.T) {
	// Two free ports in a row: another program may take them meanwhile, then others are tried.
	for try := 0; ; try++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port == 65535 {
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		ended := make(chan int, 1)
		go func() {
			status := Run(ctx, []string{"broker", "--listen", "127.0.0.1:0", "--brokers", "2", "--broker-port", strconv.Itoa(port)}, strings.NewReader(""), w, io.Discard)
			_ = w.Close()
			ended <- status
		}()
		out := bufio.NewScanner(r)
		var lines []string
		for out.Scan() && out.Text() != "ready" {
			lines = append(lines, out.Text())
		}
		cancel()
		_, _ = io.Copy(io.Discard, r)
		if status := <-ended; status != exitOK && try < 10 {
			continue
		}
		want := []string{fmt.Sprintf("broker-a 127.0.0.1:%d", port), fmt.Sprintf("broker-b 127.0.0.1:%d", port+1)}
		if got := fields(lines, "broker"); !slices.Equal(got, want) {
			t.Errorf("brokers %q, want %q", got, want)
		}
		break
	}
	for _, port := range []string{"-1", "65536"} {
		if got := program(t, "", "broker", "--listen", "127.0.0.1:0", "--broker-port", port); got.status != exitUsage || !strings.Contains(got.err, "--broker-port") {
			t.Errorf("port %s: %+v", port, got)
		}
	}
}
