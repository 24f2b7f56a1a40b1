package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// sendCmd are the flags of "liftoff send".
type sendCmd struct {
	Connect     connectFlags  `embed:""`
	Topic       string        `required:"" help:"Topic to send to."`
	Group       string        `default:"liftoff_send" help:"Producer group."`
	File        string        `short:"f" placeholder:"PATH" help:"File to read; standard input if absent or -."`
	Format      string        `enum:"text,json" default:"text" help:"What a line is: text, the body itself, or json, an object; see above."`
	Tag         string        `help:"Tag of each message."`
	ShardingKey string        `placeholder:"KEY" help:"Sharding key of each message: all go to one queue."`
	Keys        []string      `sep:"none" placeholder:"KEY" help:"Keys of each message, separated by blanks. Repeatable."`
	Property    []string      `short:"p" sep:"none" placeholder:"NAME=VALUE" help:"Property of each message. Repeatable."`
	DelayLevel  int           `placeholder:"N" help:"Delay level, by default of brokers 1 (1s) to 18 (2h)."`
	DeliverAt   time.Time     `placeholder:"TIME" help:"Time before which each message is not delivered, in the form of 2030-01-31T08:00:00Z, with your date: at most 72 hours ahead (brokers from 5.0 on)."`
	Delay       time.Duration `placeholder:"D" help:"Time after which each message is delivered, such as 10s, by the broker's clock: at most 72h (brokers from 5.0 on)."`
	Priority    *int          `placeholder:"N" help:"Priority of each message, from 0, for topics of the type PRIORITY (brokers from 5.4 on)."`
	LiteTopic   string        `placeholder:"NAME" help:"Lite topic of each message, for topics of the type LITE (brokers from 5.5 on)."`
	Mode        string        `enum:"sync,async,oneway" default:"sync" help:"sync, async or oneway."`
	Concurrency int           `short:"c" default:"16" placeholder:"N" help:"Sends under way at once (${default}). 1 keeps the order of the lines."`
	Timeout     time.Duration `default:"3s" placeholder:"D" help:"Time for one line, all attempts included (${default})."`
	Retry       string        `enum:"safe,at-least-once,none" default:"at-least-once" help:"Which failed attempts are made again: at-least-once, those that may help, even if the line may then be stored twice; safe, those that cannot store it twice; none."`
	Compress    string        `enum:"none,zlib,lz4,zstd" default:"zlib" help:"Compression of bodies from 4 KiB: none, zlib, lz4 or zstd."`
	Accumulate  bool          `help:"Let lines that are sent at about the same time share a request (not with --mode oneway)."`
	Pace        bool          `help:"Hold lines back before a broker drops them (only with --mode oneway)."`
	JSON        bool          `name:"json" help:"Print one JSON result a line to standard output."`

	Failed        string `placeholder:"PATH" help:"New file for the lines that were not acknowledged, to be sent again with --format json --file PATH and another file for --failed."`
	StopAtFailure bool   `help:"Send no further lines after one that was not acknowledged."`
	FromLine      int    `default:"1" placeholder:"N" help:"Begin with line N of the input (${default}): where an earlier run has stopped."`
}

// Help is the long help of "liftoff send".
func (sendCmd) Help() string {
	return `Each line of the input is one message. The input is streamed: it may be endless. A line is at most 4 MiB; a longer one, and an empty one, is an error of that line alone. The line's end is a newline with or without a carriage return before it; the last line needs none.

A message of the future (--deliver-at, --delay) that a broker from 5.3.2 on has taken has a "recallHandle" in its result; "liftoff recall" takes it back with that.

Results come in the order in which they are known, which is the order of the lines only with --concurrency 1. With --json each is an object on standard output, with the number of its line:

    {"line":1,"status":"SEND_OK","msgId":"...","offsetMsgId":"...","broker":"broker-a","queueId":0,"queueOffset":12,"attempts":1,"maybeDuplicate":false}
    {"line":2,"error":"...","class":"timeout","certainty":"maybe-stored","attempts":2,"msgId":"...","broker":"broker-a","addr":"127.0.0.1:10911"}
    {"line":3,"error":"...","class":"rejected","certainty":"not-stored","attempts":1,"msgId":"...","broker":"broker-a","addr":"127.0.0.1:10911","code":"MESSAGE_ILLEGAL"}

Certainty says what became of a line that failed: it is safe to send it again after not-sent and not-stored; after maybe-stored that may store it twice. Whether it is stored tells the broker, asked for the msgId (mqadmin queryMsgByUniqueKey). A line that is no message has no msgId, one that no broker was tried for has no broker and addr, and without a broker's answer there is no code. With maybeDuplicate an acknowledged line may be stored twice, because an earlier attempt got no answer.

A one-way send has only line and the status WRITTEN. Without --json only failures are told, on standard error. A summary follows there.

With --failed PATH the lines that were not acknowledged are kept, each as an object of --format json with all of its message, and beside it under "failed" the same as above. The file is sent again with the same command and --format json --file PATH, which pays no heed to "failed"; --failed names another file then, or is left out. A delay (--delay, --delay-level) begins anew. To keep those back that may be stored, take them out first:

    jq -c 'select(.failed.certainty != "maybe-stored")' PATH

Lines that are no message, or too long for one, are told but not kept: they would fail again.

A run that stops early - by an interrupt, --stop-at-failure or an error - says with which line to go on; --from-line does that. If no name server answers at the start, or the topic cannot be sent to, that is one error and no line is read.

With --format json a line is an object: body or bodyBase64, and optionally tag, keys (a list), properties (an object), shardingKey, delayLevel, deliverAt (RFC 3339), delay (such as "10s"), priority, liteTopic, flag and noWaitStore. Each is there once at most, and null is the same as not there. They go before the flags of the same name; properties are joined.

    {"body":"paid","tag":"order","keys":["o-1"],"properties":{"city":"Bern"}}

For a cluster with access control the keys are best in a file, --credentials FILE, which has a line for each of accessKey=, secretKey= and, for temporary keys, securityToken=. It is watched: while lines are sent it may get new keys. Keys can also be given by environment variables. On the command line every user of the machine can see them.

Name servers that --namesrv-endpoint and --namesrv-srv find, and the addresses of DNS names in --namesrv, are used together. They are asked for again every 2 minutes, and when no name server answers.

Errors about TLS name the settings of the library: TLS.Enabled is --tls here, TLS.CAFile --tls-ca, TLS.CertFile --tls-cert, TLS.KeyFile --tls-key and TLS.ServerName --tls-server-name. The files are read again before each new connection.

Where brokers register addresses that cannot be reached from here, --address says how to: 10.0.0.5:10911=127.0.0.1:30911 for an address, broker-a=127.0.0.1:30911 for the broker of that name, 10.0.0.5=203.0.113.5 for a host, 10.1.0.0/16=203.0.0.0/16 for a network. With --socks all connections go through that proxy, which resolves names; JSON as in {"10.0.0.0/8":{"addr":"proxy:1080","username":"me","password":"..."}} has one for each network, and the longest counts.

The first interrupt stops the reading, waits for what is under way and reports; the second ends the program at once.

The exit status is 0 if every line was acknowledged (one-way: written), 1 if some were not, and 2 for wrong usage, such as a file that cannot be opened.

Examples:

    liftoff send --namesrv 127.0.0.1:9876 --topic orders --file orders.txt
    tail -f app.log | liftoff send --namesrv "10.0.0.1:9876;10.0.0.2:9876" --topic logs --mode async --concurrency 64
    NAMESRV_ADDR=127.0.0.1:9876 liftoff send --topic orders --tag paid --keys "k1 k2" --property city=Bern --json < orders.txt
    liftoff send --namesrv 127.0.0.1:9876 --credentials orders.keys --topic orders --file orders.txt
    liftoff send --namesrv 127.0.0.1:9876 --address broker-a=127.0.0.1:30911 --topic orders --file orders.txt
    liftoff send --namesrv-endpoint conf.example --topic orders --file orders.txt
    liftoff send --namesrv rocketmq.example:9876 --tls --tls-ca ca.crt --topic orders --file orders.txt
    liftoff send --namesrv 127.0.0.1:9876 --topic orders --file orders.txt --failed again.jsonl
    liftoff send --namesrv 127.0.0.1:9876 --topic orders --format json --file again.jsonl`
}

// Run sends the lines. What it could not check by flags alone, such as the
// length of a body, fails line by line.
func (c *sendCmd) Run(ctx context.Context, con console) error {
	template, err := c.template()
	if err != nil {
		return usage(err)
	}
	if err := c.check(); err != nil {
		return usage(err)
	}
	producer, client, err := c.producer(slog.New(slog.NewTextHandler(con.err, nil)))
	if err != nil {
		return usage(err)
	}
	input, size, err := c.open(con.in)
	if err != nil {
		return usage(err)
	}
	defer input.Close()
	failed, err := newFailedLines(c.Failed)
	if err != nil {
		return usage(err)
	}
	if err := producer.Start(ctx); err != nil {
		return errors.Join(err, failed.close())
	}
	if err := c.reach(ctx, client); err != nil {
		return errors.Join(err, end(ctx, producer), failed.close())
	}
	if isTerminal(con.in) && c.stdin() {
		fmt.Fprintln(con.err, "reading messages from the terminal, one a line; end with Ctrl-D")
	}

	ctx, quit := context.WithCancelCause(ctx)
	defer quit(nil)
	r := &reporter{
		out: con.out, diag: con.err, json: c.JSON, quit: quit, start: time.Now(),
		failedLines: failed, stopAtFailure: c.StopAtFailure,
	}
	if !c.JSON || !isTerminal(con.out) { // else the bar would cut through the results
		r.bar = newBar(con.terminal, size)
	}
	s := c.sender(producer, input, template, r)
	readErr := s.run(ctx)
	r.bar.close()
	if readErr != nil && !errors.As(readErr, new(*nothingLeft)) {
		readErr = fmt.Errorf("%w; --from-line %d goes on there", stopped(readErr), c.FromLine+r.lines)
	}
	err = errors.Join(readErr, end(ctx, producer), failed.close())
	fmt.Fprint(con.err, r.summary(time.Now()))
	if err != nil {
		fmt.Fprintln(con.err, "liftoff:", oneLine(err.Error()))
	}
	if err != nil || r.failures() > 0 {
		return errReported
	}
	return nil
}

// check finds what single flags do not show.
func (c *sendCmd) check() error {
	switch {
	case c.Concurrency < 1 || c.Concurrency > maxConcurrency:
		return fmt.Errorf("--concurrency %d: want 1 to %d", c.Concurrency, maxConcurrency)
	case c.Timeout < time.Millisecond || c.Timeout > 24*time.Hour:
		return fmt.Errorf("--timeout %v: want 1ms to 24h", c.Timeout)
	case c.DelayLevel < 0 || c.DelayLevel > validate.DefaultMaxDelayLevel:
		return fmt.Errorf("--delay-level %d: want 0 to %d; it is the number of a level and no time", c.DelayLevel, validate.DefaultMaxDelayLevel)
	case c.Delay < 0:
		return fmt.Errorf("--delay %v: want a time from now on", c.Delay)
	case times(c.DelayLevel != 0, !c.DeliverAt.IsZero(), c.Delay != 0) > 1:
		return errors.New("--delay-level, --deliver-at and --delay: only one of them can be given")
	case c.Delay > validate.DefaultMaxDelay:
		return fmt.Errorf("--delay %v: at most %s is allowed", c.Delay, words.Time(validate.DefaultMaxDelay))
	case c.DeliverAt.After(time.Now().Add(validate.DefaultMaxDelay)):
		return fmt.Errorf("--deliver-at %s: at most %s ahead is allowed", c.DeliverAt.Format(time.RFC3339), words.Time(validate.DefaultMaxDelay))
	case c.Priority != nil && *c.Priority < 0:
		return fmt.Errorf("--priority %d: it begins at 0", *c.Priority)
	case c.FromLine < 1:
		return fmt.Errorf("--from-line %d: the first line is 1", c.FromLine)
	case c.Accumulate && c.Mode == "oneway":
		return errors.New("--accumulate with --mode oneway: one-way sends share no request")
	case c.Pace && c.Mode != "oneway":
		return fmt.Errorf("--pace with --mode %s: only one-way sends are paced", c.Mode)
	}
	return c.Connect.check()
}

// times counts what is so.
func times(so ...bool) (n int) {
	for _, is := range so {
		if is {
			n++
		}
	}
	return n
}

// reach asks a name server where the topic lives. Where nobody knows, each line would fail by
// itself, with the same error.
func (c *sendCmd) reach(ctx context.Context, routes core.RouteSource) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if _, err := routes.Route(ctx, c.Topic); err != nil {
		return fmt.Errorf("no line was sent: %w", err)
	}
	return nil
}

// maxConcurrency bounds the memory that lines under way can take, and the
// goroutines of --mode sync.
const maxConcurrency = 10_000

// template is the message that lines fill.
func (c *sendCmd) template() (core.Message, error) {
	m := core.Message{
		Topic: c.Topic, Tag: c.Tag, ShardingKey: c.ShardingKey, DelayLevel: c.DelayLevel,
		DeliverAt: c.DeliverAt, DeliverAfter: c.Delay, Priority: c.Priority, LiteTopic: c.LiteTopic,
	}
	if err := validate.Topic(c.Topic); err != nil {
		return m, fmt.Errorf("--topic: %w", err)
	}
	for _, k := range c.Keys {
		m.Keys = append(m.Keys, strings.Fields(k)...)
	}
	for _, p := range c.Property {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" || value == "" {
			return m, fmt.Errorf("--property %q: want NAME=VALUE, neither of them empty", p)
		}
		if m.Properties == nil {
			m.Properties = map[string]string{}
		}
		if _, dup := m.Properties[name]; dup {
			return m, fmt.Errorf("--property %s is given twice", name)
		}
		var wrong *validate.Error
		if errors.As(validate.Properties(c.Topic, map[string]string{name: value}), &wrong) {
			return m, fmt.Errorf("--property %s %s", words.Quote(name), flagsOf.Replace(wrong.Reason))
		}
		m.Properties[name] = value
	}
	return m, nil
}

// flagsOf puts flags in the place of a message's fields.
var flagsOf = strings.NewReplacer(
	"the field Tag", "--tag", "the field Keys", "--keys", "the field ShardingKey", "--sharding-key", "the field DelayLevel", "--delay-level",
	"the field DeliverAt", "--deliver-at", "the field DeliverAfter", "--delay", "the field Priority", "--priority",
	"the field LiteTopic", "--lite-topic", "the field NoWaitStore", "noWaitStore of --format json",
)

// withFlag puts the flag beside the field of a message that is wrong.
func withFlag(err error, text string) string {
	var wrong *validate.Error
	if !errors.As(err, &wrong) {
		return text
	}
	if flag := flagsOf.Replace("the field " + wrong.Field); strings.HasPrefix(flag, "--") {
		text = strings.Replace(text, wrong.Field+" ", wrong.Field+" ("+flag+") ", 1)
	}
	return text
}

func (c *sendCmd) stdin() bool { return c.File == "" || c.File == "-" }

// open gives the input and its size, -1 if it is not known.
func (c *sendCmd) open(stdin io.Reader) (io.ReadCloser, int64, error) {
	if c.stdin() {
		return io.NopCloser(stdin), -1, nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", c.File)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	if !info.Mode().IsRegular() {
		return f, -1, nil // a pipe or device: its end is not known
	}
	return f, info.Size(), nil
}

func (c *sendCmd) sender(p *core.Producer, input io.Reader, template core.Message, r *reporter) *sender {
	s := &sender{producer: p, report: r.report, concurrency: c.Concurrency, from: c.FromLine}
	switch c.Format {
	case "json":
		s.lines, s.decode = newLineReader(input, maxJSONLine), jsonDecoder(template)
	default:
		s.lines, s.decode = newLineReader(input, maxBody), textDecoder(template)
	}
	switch c.Mode {
	case "async":
		s.mode = core.Async
	case "oneway":
		s.mode = core.Oneway
	}
	return s
}

// sender moves lines from a reader to a producer and outcomes to a report. It
// holds at most concurrency+1 lines at a time.
type sender struct {
	producer    *core.Producer
	mode        core.Mode
	concurrency int
	from        int // the first line that is sent
	lines       *lineReader
	decode      decoder
	report      func(outcome)
}

// item is a line on its way.
type item struct {
	line    int
	taken   int64
	message *core.Message
	err     error // of the line itself: it is not sent
}

// run sends until the input or ctx ends, and until every line that was begun
// has its outcome. It returns nil at the input's end, else what stopped it. A
// read that blocks when ctx ends is left behind.
func (s *sender) run(ctx context.Context) error {
	items := make(chan item)
	ended := make(chan error, 1)
	go func() {
		defer close(items)
		ended <- s.read(ctx, items)
	}()
	var all sync.WaitGroup
	if s.mode == core.Async {
		s.sendAsync(ctx, items, &all)
	} else {
		for range s.concurrency {
			all.Go(func() { s.sendEach(ctx, items) })
		}
	}
	all.Wait()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// read hands the lines over, in order.
func (s *sender) read(ctx context.Context, items chan<- item) error {
	for n := 1; ; n++ {
		line, taken, err := s.lines.next()
		it := item{line: n, taken: taken}
		var long *lineTooLong
		switch {
		case errors.Is(err, io.EOF) && n <= s.from && s.from > 1:
			return &nothingLeft{s.from, n - 1}
		case errors.Is(err, io.EOF):
			return nil
		case n < s.from && (err == nil || errors.As(err, &long)):
			continue
		case errors.As(err, &long):
			it.err = unsendable(err)
		case err != nil:
			return fmt.Errorf("read line %d: %w", n, err)
		default:
			it.message, it.err = s.decode(line)
		}
		select {
		case items <- it:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// nothingLeft is an input that ends before the line that is to be the first.
type nothingLeft struct{ from, lines int }

func (e *nothingLeft) Error() string {
	return fmt.Sprintf("--from-line %d: the input ends with line %d, so there was nothing to send", e.from, e.lines)
}

// take is the next line, unless ctx or the input has ended.
func take[T any](ctx context.Context, items <-chan T) (it T, ok bool) {
	if ctx.Err() != nil { // a select with both ready might take another line
		return it, false
	}
	select {
	case it, ok = <-items:
		return it, ok
	case <-ctx.Done():
		return it, false
	}
}

// sendEach is a worker of the modes in which the caller waits.
func (s *sender) sendEach(ctx context.Context, items <-chan item) {
	under := context.WithoutCancel(ctx) // a line that is begun is finished
	for {
		it, ok := take(ctx, items)
		if !ok {
			return
		}
		o := outcome{line: it.line, taken: it.taken, message: it.message, err: it.err}
		switch {
		case it.err != nil:
		case s.mode == core.Oneway:
			o.status = core.Written
			o.err = s.producer.SendOneway(under, it.message)
		default:
			o.result, o.err = s.producer.Send(under, it.message)
			o.status = o.result.Status
		}
		s.report(o)
	}
}

// sendAsync keeps up to concurrency asynchronous sends under way. A place is
// free again when the outcome is reported, not before: a slow reader of our
// results slows the sends down instead of filling the memory.
func (s *sender) sendAsync(ctx context.Context, items <-chan item, all *sync.WaitGroup) {
	under := context.WithoutCancel(ctx)
	places := make(chan struct{}, s.concurrency)
	for {
		it, ok := take(ctx, items)
		if !ok {
			return
		}
		o := outcome{line: it.line, taken: it.taken, message: it.message, err: it.err}
		if it.err != nil {
			s.report(o)
			continue
		}
		places <- struct{}{}
		all.Add(1)
		s.producer.SendAsync(under, it.message, func(res core.Result, err error) {
			defer all.Done()
			o.result, o.status, o.err = res, res.Status, err
			s.report(o)
			<-places
		})
	}
}

// stopped says why the lines ended too early.
func stopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted: the lines after these were not sent")
	}
	return err
}

// end shuts the producer down. Nothing is in flight any more: what is left is to say goodbye.
func end(ctx context.Context, p *core.Producer) error {
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	return p.Shutdown(stop)
}

const shutdownTime = 5 * time.Second
