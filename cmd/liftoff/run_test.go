package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files anew")

// asProgram in the environment makes the test's binary the program itself.
const asProgram = "LIFTOFF_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	// The machine's own setting must not decide what the tests send to.
	for _, name := range []string{
		"NAMESRV_ADDR", "LIFTOFF_ACCESS_KEY", "LIFTOFF_SECRET_KEY", "LIFTOFF_SECURITY_TOKEN", "LIFTOFF_CREDENTIALS",
		"LIFTOFF_TLS", "LIFTOFF_TLS_CA", "LIFTOFF_TLS_CERT", "LIFTOFF_TLS_KEY", "LIFTOFF_TLS_SERVER_NAME",
		"LIFTOFF_NAMESRV_ENDPOINT", "LIFTOFF_NAMESRV_SRV",
	} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// output is what a run of the program left behind.
type output struct {
	status   int
	out, err string
}

// program runs Run with its input.
func program(t *testing.T, stdin string, args ...string) output {
	t.Helper()
	return runWith(t.Context(), strings.NewReader(stdin), args...)
}

func runWith(ctx context.Context, stdin io.Reader, args ...string) output {
	var out, err lockedBuffer
	status := Run(ctx, args, stdin, &out, &err)
	return output{status, out.String(), err.String()}
}

// lockedBuffer may be read while a command writes to it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestWrongUsage(t *testing.T) {
	dir := t.TempDir()
	send := func(args ...string) []string {
		return append([]string{"send", "--namesrv", "127.0.0.1:1", "--topic", "t"}, args...)
	}
	tests := []struct {
		name string
		args []string
		want string // in the message
	}{
		{"no command", nil, "expected one of"},
		{"unknown command", []string{"receive"}, "unexpected argument receive"},
		{"unknown flag", send("--fast"), "unknown flag --fast"},
		{"no topic", []string{"send", "--namesrv", "127.0.0.1:1"}, "--topic"},
		{"empty topic", []string{"send", "--namesrv", "127.0.0.1:1", "--topic", ""}, "--topic"},
		{"bad topic", []string{"send", "--namesrv", "127.0.0.1:1", "--topic", "bad topic"}, `"bad topic" has characters`},
		{"one-way sends together", send("--mode", "oneway", "--accumulate"), "--accumulate with --mode oneway"},
		{"pace what is answered", send("--pace"), "--pace with --mode sync"},
		{"no name server", []string{"send", "--topic", "t"}, "--namesrv"},
		{"bad endpoint", []string{"send", "--topic", "t", "--namesrv-endpoint", "ftp://conf"}, `liftoff: --namesrv-endpoint: Discovery.Endpoint: scheme "ftp" is not known`},
		{"bad SRV", []string{"send", "--topic", "t", "--namesrv", "a:1", "--namesrv-srv", "a b"}, `liftoff: --namesrv-srv: Discovery.SRV: "a b" is not`},
		{"bad name server", []string{"send", "--topic", "t", "--namesrv", "127.0.0.1:high"}, "high"},
		{"bad group", send("--group", "no blanks"), `"no blanks"`},
		{"bad mode", send("--mode", "telepathy"), "telepathy"},
		{"bad format", send("--format", "xml"), "xml"},
		{"bad compression", send("--compress", "rar"), "rar"},
		{"concurrency 0", send("--concurrency", "0"), "--concurrency 0: want 1 to 10000"},
		{"concurrency too high", send("--concurrency", "10001"), "--concurrency 10001"},
		{"timeout 0", send("--timeout", "0s"), "--timeout 0s"},
		{"timeout without unit", send("--timeout", "3"), "timeout"},
		{"timeout too long", send("--timeout", "25h"), "--timeout 25h0m0s: want 1ms to 24h"},
		{"delay in seconds", send("--delay-level", "60"), "--delay-level 60: want 0 to 18"},
		{"bad retry", send("--retry", "always"), "always"},
		{"from line 0", send("--from-line", "0"), "--from-line 0: the first line is 1"},
		{"file without its name", send("--file"), "--file: a value is missing"},
		{"count without its number", send("--concurrency"), "--concurrency: a value is missing"},
		{"TLS settings without TLS", send("--tls-ca", "ca.crt"), "without --tls: connections would be plain"},
		{"a certificate without its key", send("--tls", "--tls-cert", "client.crt"), "--tls-cert and --tls-key"},
		{"a key without its certificate", send("--tls", "--tls-key", "client.key"), "--tls-cert and --tls-key"},
		{"no such authority", send("--tls", "--tls-ca", filepath.Join(dir, "nothing")), "liftoff: --tls-ca: TLS.CAFile: stat "},
		{"no such certificate", send("--tls", "--tls-cert", filepath.Join(dir, "no"), "--tls-key", filepath.Join(dir, "nothing")), "; --tls-key: TLS.KeyFile: stat "},
		{"no such certificates", send("--tls", "--tls-cert", filepath.Join(dir, "no"), "--tls-key", filepath.Join(dir, "nothing")), "liftoff: --tls-cert: TLS.CertFile: stat "},
		{"escape", send("\x1b[31mred"), "red"},
		{"open to everybody without a host for routes", []string{"broker", "--listen", "0.0.0.0:0", "--allow-remote"}, "--advertise"},
		{"help of what", []string{"help", "receive"}, "receive"},
		{"property without value", send("--property", "city"), `--property "city": want NAME=VALUE`},
		{"property without name", send("--property", "=Bern"), `--property "=Bern"`},
		{"property twice", send("--property", "a=1", "--property", "a=2"), "--property a is given twice"},
		{"property of RocketMQ's own", send("--property", "TAGS=a"), `--property "TAGS" is RocketMQ's own, use --tag`},
		{"property with a blank value", send("--property", "city= "), `--property "city" has a blank value`},
		{"delay too long", send("--delay", "72h1s"), "--delay 72h0m1s: at most 72h is allowed"},
		{"delivered too late", send("--deliver-at", "2999-01-31T08:00:00Z"), "--deliver-at 2999-01-31T08:00:00Z: at most 72h ahead is allowed"},
		{"no time", send("--deliver-at", "2030-01-31 08:00"), `--deliver-at: "2030-01-31 08:00" is no time in the form of 2030-01-31T08:00:00Z (RFC 3339)`},
		{"value like a flag", send("--delay", "-5s"), "--delay: a value that begins with - is given as in --delay=-5s\n"},
		{"no such file", send("--file", filepath.Join(dir, "nothing")), "no such file"},
		{"a directory", send("--file", dir), "is a directory"},
		{"an argument", send("hello"), "unexpected argument hello"},
		{"no brokers", []string{"broker", "--brokers", "0"}, "--brokers 0: want 1 to 64"},
		{"keep nothing", []string{"broker", "--max-stored", "0"}, "--max-stored 0"},
		{"open to everybody", []string{"broker", "--listen", "0.0.0.0:0"}, "loopback"},
		{"open to everybody by an empty host", []string{"broker", "--listen", ":0"}, "loopback"},
		{"no port", []string{"broker", "--listen", "127.0.0.1"}, "port"},
		{"advertise no host", []string{"broker", "--advertise", "a b"}, `--advertise "a b": want a host`},
		{"advertise a port", []string{"broker", "--advertise", "localhost:9876"}, `--advertise "localhost:9876": want a host`},
		{"pipeline of what", []string{"pipeline", "x"}, "unexpected argument x"},
		{"plugin what", []string{"plugin"}, `expected "new"`},
		{"policy of what", []string{"policy", "chek"}, "did you mean \"check\""},
		{"policy without its command", []string{"policy"}, "expected one of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := program(t, "a line\n", tt.args...)
			if strings.ContainsAny(got.err, "\x1b<>") || strings.Contains(got.err, "AdvertiseHost") {
				t.Errorf("said %q", got.err)
			}
			if got.status != exitUsage {
				t.Errorf("status %d, want %d", got.status, exitUsage)
			}
			if got.out != "" {
				t.Errorf("wrote %q to standard output", got.out)
			}
			help := "Try: liftoff --help"
			if len(tt.args) > 0 && tt.args[0] != "receive" {
				help = "Try: liftoff " + tt.args[0] + " --help"
			}
			if !strings.Contains(got.err, tt.want) || !strings.Contains(got.err, help) {
				t.Errorf("said %q, want %q and %q", got.err, tt.want, help)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	tests := []struct {
		args []string
		want []string
	}{
		{[]string{"--help"}, []string{"broker", "send", "topic", "message", "pipeline", "--version"}},
		{[]string{"send", "--help"}, []string{"Examples:", "--namesrv", "NAMESRV_ADDR", "--namesrv-endpoint", "LIFTOFF_NAMESRV_SRV", "--json", "exit status", "--tls-server-name", `"certainty":"maybe-stored"`}},
		{[]string{"send", "--help"}, []string{"at most 72 hours ahead", "at most 72h", "begins anew"}},
		{[]string{"broker", "--help"}, []string{"Examples:", "--listen", "--allow-remote", "ready"}},
		{[]string{"pipeline", "--help"}, []string{"Examples:", "--trace", "--json", "limits"}},
		{[]string{"plugin", "--help"}, []string{"plugin new"}},
		{[]string{"plugin", "new", "--help"}, []string{"Examples:", "--module", "--dir", "--replace", "writing-a-strategy.md"}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			got := program(t, "", tt.args...)
			if got.status != exitOK || got.err != "" {
				t.Errorf("status %d, standard error %q", got.status, got.err)
			}
			for _, want := range tt.want {
				if !strings.Contains(got.out, want) {
					t.Errorf("the help has no %q:\n%s", want, got.out)
				}
			}
		})
	}
}

func TestVersion(t *testing.T) {
	for _, args := range []string{"--version", "version"} {
		got := program(t, "", args)
		if got.status != exitOK || got.out != version()+"\n" || got.err != "" {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

// People type "liftoff help" before they know that it is --help.
func TestHelpCommand(t *testing.T) {
	for _, command := range []string{"", "send", "broker", "topic", "topic create", "topic route", "topic offsets", "message", "message get", "pipeline", "plugin", "plugin new", "version", "help"} {
		args := strings.Fields(command)
		got, want := program(t, "", slices.Concat([]string{"help"}, args)...), program(t, "", append(args, "--help")...)
		if got != want || got.status != exitOK || got.out == "" {
			t.Errorf("help %s: got %+v, want %+v", command, got, want)
		}
	}
}

// What is no request to exit stays a panic: a bug must not look like success.
func TestPanicsAreNotSwallowed(t *testing.T) {
	defer func() {
		if v := recover(); v != "bug" {
			t.Errorf("recovered %v, want the panic", v)
		}
	}()
	func() {
		var status int
		defer catchExit(&status)
		panic("bug")
	}()
}

func TestPipeline(t *testing.T) {
	for golden, flags := range map[string][]string{
		"pipeline.txt":       nil,
		"pipeline-trace.txt": {"--trace"},
		"pipeline.json":      {"--json"},
	} {
		t.Run(golden, func(t *testing.T) {
			got := program(t, "", append([]string{"pipeline"}, flags...)...)
			if got.status != exitOK || got.err != "" {
				t.Errorf("status %d, standard error %q", got.status, got.err)
			}
			compare(t, golden, got.out)
		})
	}
}

// The output in docs/pipeline.md is the command's.
func TestPipelineInTheDocuments(t *testing.T) {
	page, err := os.ReadFile("../../docs/pipeline.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "    $ liftoff pipeline --trace\n")
	block, _, _ = strings.Cut(block, "\n<!-- end -->")
	var shown strings.Builder
	for line := range strings.Lines(block) {
		shown.WriteString(strings.TrimPrefix(line, "    "))
	}
	if got := program(t, "", "pipeline", "--trace"); got.out != shown.String() {
		t.Errorf("the command prints\n%s\nthe page shows\n%s", got.out, shown.String())
	}
}

// compare compares with a file under testdata.
func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant (%s; -update writes it anew)\n%s", got, file, want)
	}
}
