package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// topicCmd are the commands about topics.
type topicCmd struct {
	Create  topicCreateCmd  `cmd:"" help:"Create a topic, or change one."`
	Route   topicRouteCmd   `cmd:"" help:"Show where a topic is: its brokers, addresses, queues and permission."`
	Offsets topicOffsetsCmd `cmd:"" help:"Show what is stored in each queue of a topic."`
}

// topicCreateCmd are the flags of "liftoff topic create".
type topicCreateCmd struct {
	Ask        adminFlags `embed:""`
	Name       string     `arg:"" help:"Topic to create."`
	Cluster    string     `placeholder:"NAME" help:"Create it at every master of this cluster; without --cluster and --broker, of the only one."`
	Broker     string     `placeholder:"BROKER" help:"Create it at one broker, by its name or its address host:port."`
	Queues     int        `default:"8" placeholder:"N" help:"Queues to send to at each broker (${default})."`
	ReadQueues int        `placeholder:"N" help:"Queues to read at each broker, as many as --queues if absent. More of them while a topic gets fewer queues."`
	Perm       string     `enum:"rw,r,w" default:"rw" help:"What may be done: rw, r or w (${default})."`
	Type       string     `placeholder:"TYPE" help:"What its messages are, in any case: NORMAL, FIFO, DELAY, TRANSACTION or MIXED from 5.0 on, PRIORITY from 5.4 and LITE from 5.5 on."`
	Order      bool       `help:"Mark it as a topic in which the order of messages matters."`
}

// Help is the long help of "liftoff topic create".
func (topicCreateCmd) Help() string {
	return `Creates a topic at each broker of a cluster, or at one. A topic that exists takes over all of this: what no flag says becomes the default, but for the type, which then stays. To run it again does no harm.

The type of messages is seen to by proxies of 5.x. A broker that is older than 5.0 has no types: the topic is created there without one, and that is an error.

The exit status is 0 if every broker has the topic, 1 if one does not, and 2 for wrong usage. A name server may need a moment before it knows the topic.

` + connectHelp + `

Examples:

    liftoff topic create orders --namesrv 127.0.0.1:9876
    liftoff topic create payments --namesrv 127.0.0.1:9876 --cluster DefaultCluster --queues 16 --type TRANSACTION
    liftoff topic create orders --namesrv 127.0.0.1:9876 --broker broker-a --perm r`
}

// Run creates the topic.
func (c *topicCreateCmd) Run(ctx context.Context, con console) error {
	t := admin.Topic{Name: c.Name, Queues: c.Queues, ReadQueues: c.ReadQueues, Type: admin.MessageType(strings.ToUpper(c.Type)), Order: c.Order}
	if c.Queues == 0 {
		return usage(fmt.Errorf("--queues 0: want 1 to %d", wire.MaxRouteQueues))
	}
	if t.Type != "" && !slices.Contains(messageTypes, t.Type) {
		return usage(fmt.Errorf("--type %s: want one of %v", words.Quote(c.Type), messageTypes))
	}
	for _, p := range c.Perm {
		t.Perm |= map[rune]int{'r': rocketmq.PermRead, 'w': rocketmq.PermWrite}[p]
	}
	return c.Ask.run(ctx, con, func(ctx context.Context, a *admin.Admin) error {
		done, err := a.CreateTopic(ctx, t, admin.Place{Cluster: c.Cluster, Broker: c.Broker})
		for _, broker := range done {
			fmt.Fprintf(printable{con.out}, "%s: %s queues at %s\n", t.Name, queueText(c.Queues, cmp.Or(c.ReadQueues, c.Queues)), broker)
		}
		return err
	})
}

// messageTypes are what a topic's messages can be.
var messageTypes = []admin.MessageType{
	admin.TypeNormal, admin.TypeFIFO, admin.TypeDelay, admin.TypeTransaction, admin.TypeMixed, "PRIORITY", "LITE",
}

// checkTopic says what is wrong with the name of a topic that is asked about. It may be one of
// RocketMQ's own.
func checkTopic(name string) error {
	if rocketmq.CheckName(name, rocketmq.MaxTopicLength) != rocketmq.NameOK {
		return usage(fmt.Errorf("topic %s: a name has 1 to %d letters, digits, _, -, %% and |", words.Quote(name), rocketmq.MaxTopicLength))
	}
	return nil
}

// queueText is how many queues there are, to write and to read.
func queueText(write, read int) string {
	if write == read {
		return strconv.Itoa(write)
	}
	return fmt.Sprintf("%d write, %d read", write, read)
}

// topicRouteCmd are the flags of "liftoff topic route".
type topicRouteCmd struct {
	Ask  adminFlags `embed:""`
	Name string     `arg:"" help:"Topic to look up."`
	JSON bool       `name:"json" help:"Print one JSON object."`
}

// Help is the long help of "liftoff topic route".
func (topicRouteCmd) Help() string {
	return `Shows what the name servers know of a topic, as they say it: of each broker that has it its cluster, its addresses (that of the master is number 0), its queues, and what may be done (r to read, w to write). A static topic has logical queues besides.

The exit status is 0 if a name server knows the topic, 1 if none does or none answers, and 2 for wrong usage.

` + connectHelp + `

Examples:

    liftoff topic route orders --namesrv 127.0.0.1:9876
    liftoff topic route orders --namesrv 127.0.0.1:9876 --json | jq '.brokers[].addrs'`
}

// routeLine is what --json prints.
type routeLine struct {
	Topic   string        `json:"topic"`
	Order   string        `json:"orderConf,omitempty"`
	Brokers []routeBroker `json:"brokers"`
}

type routeBroker struct {
	Broker      string           `json:"broker"`
	Cluster     string           `json:"cluster"`
	Zone        string           `json:"zone,omitempty"`
	Addrs       map[int64]string `json:"addrs"`
	WriteQueues int              `json:"writeQueues"`
	ReadQueues  int              `json:"readQueues"`
	Perm        string           `json:"perm"`
	// Logical are the queues of a static topic that the broker leads.
	Logical []int `json:"logicalQueues,omitempty"`
}

func newRouteLine(topic string, r *wire.RouteData) routeLine {
	line := routeLine{Topic: topic, Order: r.OrderTopicConf, Brokers: []routeBroker{}}
	for i := range r.Brokers {
		data := &r.Brokers[i]
		b := routeBroker{Broker: data.BrokerName, Cluster: data.Cluster, Zone: data.ZoneName, Addrs: data.Addrs}
		for _, q := range r.Queues {
			if q.BrokerName == data.BrokerName {
				b.WriteQueues, b.ReadQueues, b.Perm = q.WriteQueueNums, q.ReadQueueNums, permText(q.Perm)
			}
		}
		for _, m := range r.Mappings {
			if m.BrokerName == data.BrokerName {
				b.Logical = slices.Sorted(maps.Keys(m.Queues))
			}
		}
		line.Brokers = append(line.Brokers, b)
	}
	slices.SortFunc(line.Brokers, func(a, b routeBroker) int { return cmp.Compare(a.Broker, b.Broker) })
	return line
}

func permText(perm int) string {
	text := ""
	for _, p := range []struct {
		bit  int
		name string
	}{{rocketmq.PermRead, "r"}, {rocketmq.PermWrite, "w"}} {
		if perm&p.bit != 0 {
			text += p.name
		}
	}
	return text
}

// Run shows the route.
func (c *topicRouteCmd) Run(ctx context.Context, con console) error {
	if err := checkTopic(c.Name); err != nil {
		return err
	}
	return c.Ask.run(ctx, con, func(ctx context.Context, a *admin.Admin) error {
		route, err := a.Route(ctx, c.Name)
		if err != nil {
			return err
		}
		line := newRouteLine(c.Name, route)
		if c.JSON {
			return printJSON(con.out, line)
		}
		return table(con.out, func(w io.Writer) {
			fmt.Fprintln(w, "BROKER\tCLUSTER\tQUEUES\tPERM\tADDRESSES")
			for _, b := range line.Brokers {
				var addrs []string
				for _, id := range slices.Sorted(maps.Keys(b.Addrs)) {
					addrs = append(addrs, fmt.Sprintf("%d=%s", id, b.Addrs[id]))
				}
				queues := queueText(b.WriteQueues, b.ReadQueues)
				if len(b.Logical) > 0 {
					queues += fmt.Sprintf(", logical %v", b.Logical)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", cell(b.Broker), cell(b.Cluster), queues, cell(b.Perm), cell(strings.Join(addrs, " ")))
			}
			if line.Order != "" {
				fmt.Fprintf(w, "order configuration: %s\n", cell(line.Order))
			}
		})
	})
}

// topicOffsetsCmd are the flags of "liftoff topic offsets".
type topicOffsetsCmd struct {
	Ask  adminFlags `embed:""`
	Name string     `arg:"" help:"Topic to look into."`
	JSON bool       `name:"json" help:"Print one JSON object a queue."`
}

// Help is the long help of "liftoff topic offsets".
func (topicOffsetsCmd) Help() string {
	return `Shows of each queue the offset of the oldest message, the offset that the next message gets, how many messages that makes, and when the oldest one was stored.

The exit status is 0 if every broker of the topic answered, 1 if one did not, and 2 for wrong usage. What the others answered is shown.

` + connectHelp + `

Examples:

    liftoff topic offsets orders --namesrv 127.0.0.1:9876
    liftoff topic offsets orders --namesrv 127.0.0.1:9876 --json | jq -s 'map(.max - .min) | add'`
}

// offsetsLine is what --json prints for a queue.
type offsetsLine struct {
	Broker   string `json:"broker"`
	QueueID  int    `json:"queueId"`
	Min      int64  `json:"min"`
	Max      int64  `json:"max"`
	Earliest string `json:"earliest,omitempty"`
}

// Run shows the offsets.
func (c *topicOffsetsCmd) Run(ctx context.Context, con console) error {
	if err := checkTopic(c.Name); err != nil {
		return err
	}
	return c.Ask.run(ctx, con, func(ctx context.Context, a *admin.Admin) error {
		queues, failed := a.Offsets(ctx, c.Name)
		if queues == nil && failed != nil {
			return failed
		}
		lines := make([]offsetsLine, len(queues))
		for i, q := range queues {
			lines[i] = offsetsLine{Broker: q.Broker, QueueID: q.ID, Min: q.Min, Max: q.Max}
			if !q.Earliest.IsZero() {
				lines[i].Earliest = timeText(q.Earliest)
			}
		}
		if c.JSON {
			for _, l := range lines {
				if err := printJSON(con.out, l); err != nil {
					return err
				}
			}
			return failed
		}
		err := table(con.out, func(w io.Writer) {
			fmt.Fprintln(w, "BROKER\tQUEUE\tMIN\tMAX\tMESSAGES\tEARLIEST")
			for _, l := range lines {
				fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\n", cell(l.Broker), l.QueueID, l.Min, l.Max, l.Max-l.Min, cell(l.Earliest))
			}
		})
		return cmp.Or(err, failed)
	})
}

// table prints lines of cells with tabs between them in columns, made printable.
func table(out io.Writer, write func(io.Writer)) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	write(w)
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(printable{out}, text.String())
	return err
}

// cell is a text that may come from a server as a cell of a table.
func cell(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\v' || r == '\f' {
			return ' '
		}
		return r
	}, text)
}

// printJSON prints a value as one line.
func printJSON(out io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		_, err = out.Write(append(printableJSON(text), '\n'))
	}
	return err
}
