package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"

	"github.com/liftoff-mq/liftoff/integration/javaprog"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// mqadmin is RocketMQ's administration tool of a version, in one process for all commands.
type mqadmin struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

// endOfCommand is what the process prints after each command.
const endOfCommand = "-- end of the command --"

func startMqadmin(t *testing.T, version, nameServer string) *mqadmin {
	t.Helper()
	must(t, realcluster.NeedTools("java", "mvn", "bash"))
	scripts, err := realcluster.Folder("rocketmq")
	must(t, err)
	jars, err := exec.Command(filepath.Join(scripts, "fetch"), version).Output()
	must(t, err)
	home := t.TempDir() // the tool writes its logs below it, and that of 4.9 wants a configuration for them
	must(t, os.Mkdir(filepath.Join(home, "conf"), 0o755))
	must(t, os.WriteFile(filepath.Join(home, "conf", "logback_tools.xml"), []byte("<configuration/>"), 0o644))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // the test's own ends before its clean-up
	cmd := exec.CommandContext(ctx, "java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
		"--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
		"-Drocketmq.home.dir="+home, "-Duser.home="+home, "-Drocketmq.namesrv.addr="+nameServer,
		"-cp", filepath.Join(strings.TrimSpace(string(jars)), "lib", "*"), filepath.Join("testdata", "MqadminSession.java"))
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	t.Cleanup(func() {
		defer cancel()
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Errorf("mqadmin: %v", err)
		}
	})
	return &mqadmin{t: t, in: in, out: bufio.NewScanner(out)}
}

// run runs a command and returns all that it printed.
func (m *mqadmin) run(args ...string) string {
	m.t.Helper()
	_, err := fmt.Fprintln(m.in, strings.Join(args, "\t"))
	must(m.t, err)
	var out strings.Builder
	for m.out.Scan() {
		if m.out.Text() == endOfCommand {
			return out.String()
		}
		out.WriteString(m.out.Text() + "\n")
	}
	m.t.Fatalf("mqadmin %s ended the process: %v\n%s", strings.Join(args, " "), m.out.Err(), tail(out.String(), 4000))
	return ""
}

// mqadmin found no message, showed no topic and no progress, called a group that consumes offline, and deleted nothing at
// `liftoff broker`.
func TestMqadminAgainstLiftoffBroker(t *testing.T) {
	t.Parallel()
	nameServer := startLiftoffBroker(t, "--delay-levels", retryLevels)
	send := officialProducer(t, nameServer)
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			topic, group := topicFor(t, "t"), topicFor(t, "g")
			tool := startMqadmin(t, version, nameServer)
			admin := func(want []string, args ...string) {
				t.Helper()
				out := tool.run(args...)
				for _, w := range want {
					if !regexp.MustCompile(`(?m)` + w).MatchString(out) {
						t.Errorf("mqadmin %s: no %s in\n%s", strings.Join(args, " "), w, tail(out, 3000))
					}
				}
			}
			// row is a line of a table with these cells, among others.
			row := func(cells ...any) string {
				text := "^"
				for _, c := range cells {
					text += regexp.QuoteMeta(fmt.Sprint(c)) + `\s+(.*\s)?`
				}
				return text
			}
			admin([]string{"create topic to .* success"}, "updateTopic", "-c", "DefaultCluster", "-t", topic, "-r", "4", "-w", "4")
			sent := send(topic, tagged("good", "x", "first"), tagged("fail-1", "x", "second"))
			admin([]string{"create subscription group to .* success"}, "updateSubGroup", "-c", "DefaultCluster", "-g", group, "-r", "1")
			stop := startGoConsumer(t, nameServer, topic, group, consumer.MessageSelector{}, func(delivery) {})
			defer stop()
			javaprog.ReadBack(t, version, nameServer, "%RETRY%"+group, 1, time.Minute)

			// The tool takes a group for offline before its first commit, and does not find a producer before its first
			// heartbeat, at real brokers too.
			for _, wait := range [][]string{
				{"(?m)^" + topic, "consumerProgress", "-g", group},
				{`GO\s`, "producerConnection", "-g", "official_go_producer", "-t", topic},
			} {
				for begin := time.Now(); !regexp.MustCompile(wait[0]).MatchString(tool.run(wait[1:]...)); time.Sleep(200 * time.Millisecond) {
					if time.Since(begin) > 2*time.Minute {
						t.Fatalf("mqadmin %s shows nothing", strings.Join(wait[1:], " "))
					}
				}
			}

			admin([]string{row(sent[1].MsgID, sent[1].MessageQueue.QueueId, sent[1].QueueOffset)}, "queryMsgByKey", "-t", topic, "-k", "second")
			admin([]string{`^Keys:\s+\[first\s*\]`, `^Tags:\s+\[x\]`, `^Queue Offset:\s+` + fmt.Sprint(sent[0].QueueOffset) + `$`, `^MessageTrack \[consumerGroup=` + group + `, trackType=(CONSUMED|NOT_CONSUME_YET)`},
				"queryMsgByUniqueKey", "-t", topic, "-i", sent[0].MsgID)
			admin([]string{`^#Broker Name`, row("broker-a", 0), row("broker-b", 3)}, "topicStatus", "-t", topic)
			admin([]string{row(group, 1)}, "consumerProgress")
			admin([]string{row(topic, "broker-a", 0), `Diff Total: \d+`}, "consumerProgress", "-g", group)
			admin([]string{row(topic), `CONSUME_PASSIVELY`, `CLUSTERING`}, "consumerConnection", "-g", group)
			admin([]string{`GO\s`}, "producerConnection", "-g", "official_go_producer", "-t", topic)
			admin([]string{`delete topic \[` + topic + `\] from cluster`, `delete topic \[` + topic + `\] from NameServer success`}, "deleteTopic", "-c", "DefaultCluster", "-t", topic)
			admin([]string{"No topic route info in name server"}, "topicRoute", "-t", topic)

			// What is not here is refused, and the tool says so.
			if version[0] > '4' {
				admin([]string{"this broker has no other attributes of topics than message.type: .queue.type=BatchCQ"}, "updateTopic", "-c", "DefaultCluster", "-t", topic, "-a", "+queue.type=BatchCQ")
				admin([]string{"request type 401 not supported"}, "setConsumeMode", "-c", "DefaultCluster", "-t", topic, "-g", group, "-m", "POP", "-q", "1")
			}
			if out := tool.run("topicList"); slices.Contains(strings.Fields(out), topic) {
				t.Errorf("the topic is there:\n%s", out)
			}
		})
	}
}
