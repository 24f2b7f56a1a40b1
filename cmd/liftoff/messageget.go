package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// messageCmd are the commands about stored messages.
type messageCmd struct {
	Get messageGetCmd `cmd:"" help:"Get messages by message id, offset message id or key."`
}

// messageGetCmd are the flags of "liftoff message get".
type messageGetCmd struct {
	Ask   adminFlags `embed:""`
	ID    string     `arg:"" optional:"" help:"Message id, with --topic, or offset message id."`
	Topic string     `help:"Topic of the message."`
	Key   string     `placeholder:"KEY" help:"Key to look for instead of an id, with --topic."`
	Max   *int       `placeholder:"N" help:"With --key: how many messages each broker is asked for, the newest ones, 64 by default."`
	Begin time.Time  `placeholder:"TIME" help:"With --key: only what was stored at this time or later, such as 2030-01-31T08:00:00Z."`
	End   time.Time  `placeholder:"TIME" help:"With --key: only what was stored at this time or before."`
	JSON  bool       `name:"json" help:"Print one JSON object a message, as liftoff send --format json takes it."`
	Body  bool       `help:"Write the body of the only message that is found, byte by byte, and nothing else."`
}

// maxUnpacked is the longest body that is shown, unpacked: some times what a broker takes packed.
const maxUnpacked = 64 << 20

// Help is the long help of "liftoff message get".
func (messageGetCmd) Help() string {
	return `Gets stored messages from the brokers. There are three ways to name one:

    liftoff message get MSGID --topic orders       by the id that the producer gave it (msgId in what liftoff send --json prints)
    liftoff message get OFFSETMSGID                by the id of its place in a broker (offsetMsgId there)
    liftoff message get --topic orders --key o-1   by one of its keys

The first and the last ask every broker of the topic. Each finds a message a moment after it was stored, for as long as its index goes back, and gives 64 by default. A message that was stored twice has the same id twice. The broker of the second is in the id itself: with --topic it is asked if no message has the id as its message id.

Without --json a message is shown for people; a body that is no text is not shown. With --json a message is one line that liftoff send --format json takes again: body, or bodyBase64 if it is no text, tag, keys, properties and so on. Where it was stored, and the properties that RocketMQ has set, are under "stored", to which liftoff send pays no heed. A delay is there as well: the message that is sent again has none.

The exit status is 0 if messages were found and every broker answered, 1 if not, and 2 for wrong usage. What was found is shown in any case.

` + connectHelp + `

Examples:

    liftoff message get 7F00000100002A139A55000000000000 --namesrv 127.0.0.1:9876 --topic orders
    liftoff message get --namesrv 127.0.0.1:9876 --topic orders --key o-1 --begin 2030-01-31T08:00:00Z
    liftoff message get --namesrv 127.0.0.1:9876 --topic orders --key o-1 --json | liftoff send --namesrv 127.0.0.1:9876 --topic again --format json
    liftoff message get 7F00000100002A9F0000000000000000 --namesrv 127.0.0.1:9876 --body > picture.png`
}

func (c *messageGetCmd) check() error {
	switch {
	case (c.ID == "") == (c.Key == ""):
		return errors.New("want either an id or --key")
	case c.Key != "" && c.Topic == "":
		return errors.New("--key without --topic: keys are looked for within a topic")
	case c.Key == "" && (!c.Begin.IsZero() || !c.End.IsZero()):
		return errors.New("--begin or --end without --key")
	case c.Key == "" && c.Max != nil:
		return errors.New("--max without --key")
	case c.Max != nil && *c.Max == 0:
		return fmt.Errorf("--max 0: want 1 to %d", admin.MaxMax)
	case c.JSON && c.Body:
		return errors.New("both --json and --body are given")
	case c.Topic == "" && !isOffsetID(c.ID):
		return errors.New("the id is no offset message id: --topic is needed to find it")
	}
	return nil
}

// isOffsetID reports whether an id can be that of a place in a broker. A unique id, which is as
// long, has the number of a process where the port's high bytes are, which are 0.
func isOffsetID(id string) bool {
	_, err := wire.ParseOffsetID(id)
	return err == nil
}

// Run gets the messages.
func (c *messageGetCmd) Run(ctx context.Context, con console) error {
	if err := c.check(); err != nil {
		return usage(err)
	}
	return c.Ask.run(ctx, con, func(ctx context.Context, a *admin.Admin) error {
		found, failed := c.find(ctx, a)
		if len(found) == 0 {
			return failed
		}
		if c.Body && len(found) > 1 {
			return errors.Join(fmt.Errorf("%d messages were found; --body writes the body of one", len(found)), failed)
		}
		for i := range found {
			if err := c.show(con.out, &found[i], i > 0); err != nil {
				return errors.Join(err, failed)
			}
		}
		return failed
	})
}

func (c *messageGetCmd) find(ctx context.Context, a *admin.Admin) ([]admin.Message, error) {
	if c.Key != "" {
		q := admin.Query{Topic: c.Topic, Key: c.Key, Begin: c.Begin, End: c.End}
		if c.Max != nil {
			q.Max = *c.Max
		}
		return a.MessagesByKey(ctx, q)
	}
	var failed error
	if c.Topic != "" {
		// A unique id can look like the other kind, so it comes first.
		found, err := a.MessagesByID(ctx, c.Topic, c.ID)
		if len(found) > 0 || !isOffsetID(c.ID) || ctx.Err() != nil {
			return found, err
		}
		if !errors.Is(err, admin.ErrNotFound) {
			failed = err
		}
	}
	m, err := a.MessageAt(ctx, c.Topic, c.ID)
	if err != nil {
		return nil, errors.Join(failed, err)
	}
	return []admin.Message{*m}, failed
}

func (c *messageGetCmd) show(out io.Writer, m *admin.Message, another bool) error {
	body, bad := m.Unpack(maxUnpacked)
	switch {
	case c.JSON:
		return printJSON(out, newStoredMessage(m, body, bad))
	case c.Body && bad != nil:
		return fmt.Errorf("the body cannot be unpacked: %w", bad)
	case c.Body:
		_, err := out.Write(body)
		return err
	}
	if another {
		if _, err := io.WriteString(out, "\n"); err != nil {
			return err
		}
	}
	text := ""
	err := table(out, func(w io.Writer) {
		row := func(name, value string) { fmt.Fprintf(w, "%s\t%s\n", name, cell(value)) }
		row("message id", m.UniqueID())
		row("offset message id", m.OffsetID())
		row("topic", m.Topic)
		queue := fmt.Sprintf("%d, offset %d", m.QueueID, m.QueueOffset)
		if m.Broker != "" {
			queue = m.Broker + "/" + queue
		}
		row("queue", queue)
		row("born", fmt.Sprintf("%s at %s", timeText(m.Born()), m.BornHost))
		row("stored", fmt.Sprintf("%s at %s", timeText(m.Stored()), m.StoreHost))
		row("tag", m.Tag())
		row("keys", strings.Join(m.Keys(), " "))
		for _, p := range m.AllProperties() {
			switch p.Key {
			case rocketmq.PropertyUniqKey, rocketmq.PropertyTags, rocketmq.PropertyKeys:
			default:
				row("property", p.Key+"="+p.Value)
			}
		}
		switch {
		case bad != nil:
			row("body", fmt.Sprintf("%d bytes that cannot be unpacked: %v", len(m.Body), bad))
		case !utf8.Valid(body):
			row("body", fmt.Sprintf("%d bytes that are no text; --body writes them", len(body)))
		default:
			row("body", fmt.Sprintf("%d bytes", len(body)))
			text = string(body) + "\n"
		}
	})
	if err == nil {
		_, err = io.WriteString(printable{out}, text)
	}
	return err
}

// storedLine says where a message was, beside the message.
type storedLine struct {
	Topic          string            `json:"topic"`
	MsgID          string            `json:"msgId,omitempty"`
	OffsetMsgID    string            `json:"offsetMsgId"`
	Broker         string            `json:"broker,omitempty"`
	QueueID        int               `json:"queueId"`
	QueueOffset    int64             `json:"queueOffset"`
	Born           string            `json:"born"`
	BornHost       string            `json:"bornHost"`
	Stored         string            `json:"stored"`
	StoreHost      string            `json:"storeHost"`
	ReconsumeTimes int               `json:"reconsumeTimes"`
	Properties     map[string]string `json:"properties,omitempty"` // RocketMQ's own
	// BodyError says why there is no body.
	BodyError string `json:"bodyError,omitempty"`
}

func newStoredMessage(m *admin.Message, body []byte, bad error) keptLine {
	k := keptLine{Tag: m.Tag(), Keys: m.Keys(), ShardingKey: m.Property(rocketmq.PropertyShardingKey), Flag: m.Flag, LiteTopic: m.Property(rocketmq.PropertyLiteTopic)}
	if p, err := strconv.Atoi(m.Property(rocketmq.PropertyPriority)); err == nil {
		k.Priority = &p
	}
	k.Stored = &storedLine{
		Topic: m.Topic, MsgID: m.UniqueID(), OffsetMsgID: m.OffsetID(), Broker: m.Broker, QueueID: m.QueueID, QueueOffset: m.QueueOffset,
		Born: timeText(m.Born()), BornHost: m.BornHost.String(), Stored: timeText(m.Stored()), StoreHost: m.StoreHost.String(),
		ReconsumeTimes: m.ReconsumeTimes,
	}
	if bad != nil {
		k.Stored.BodyError = bad.Error()
	} else {
		k.setBody(body)
	}
	for _, p := range m.AllProperties() {
		to := &k.Properties
		switch {
		case p.Key == rocketmq.PropertyShardingKey, p.Key == rocketmq.PropertyUniqKey, p.Key == rocketmq.PropertyTags, p.Key == rocketmq.PropertyKeys:
			continue
		case rocketmq.IsReservedProperty(p.Key):
			to = &k.Stored.Properties
		}
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[p.Key] = p.Value
	}
	return k
}

// timeText is a time to the millisecond, as brokers have it.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
