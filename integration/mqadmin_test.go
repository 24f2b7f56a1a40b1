package integration

import (
	"context"
	"fmt"
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

// mqadmin runs RocketMQ's administration tool of a version and returns all that it printed.
func mqadmin(t *testing.T, version, nameServer string, args ...string) string {
	t.Helper()
	must(t, realcluster.NeedTools("java", "mvn", "bash"))
	scripts, err := realcluster.Folder("rocketmq")
	must(t, err)
	jars, err := exec.Command(filepath.Join(scripts, "fetch"), version).Output()
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	home := t.TempDir() // the tool writes its logs below it, and that of 4.9 wants a configuration for them
	must(t, os.Mkdir(filepath.Join(home, "conf"), 0o755))
	must(t, os.WriteFile(filepath.Join(home, "conf", "logback_tools.xml"), []byte("<configuration/>"), 0o644))
	cmd := exec.CommandContext(ctx, "java", append([]string{
		"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
		"--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
		"-Drocketmq.home.dir=" + home, "-Duser.home=" + home, "-Drocketmq.namesrv.addr=" + nameServer,
		"-cp", filepath.Join(strings.TrimSpace(string(jars)), "lib", "*"), "org.apache.rocketmq.tools.command.MQAdminStartup",
	}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("mqadmin %s: %v\n%s", strings.Join(args, " "), err, tail(string(out), 4000))
	}
	return string(out)
}

// mqadmin found no message, showed no topic and no progress, called a group that consumes offline, and deleted nothing at
// `liftoff broker`.
func TestMqadminAgainstLiftoffBroker(t *testing.T) {
	nameServer := startLiftoffBroker(t, "--delay-levels", retryLevels)
	send := officialProducer(t, nameServer)
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			topic, group := topicFor(t, "t"), topicFor(t, "g")
			admin := func(want []string, args ...string) {
				t.Helper()
				out := mqadmin(t, version, nameServer, args...)
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

			// Before a first commit, after some seconds, the tool takes a group for offline, at real brokers too.
			for begin := time.Now(); !strings.Contains(mqadmin(t, version, nameServer, "consumerProgress", "-g", group), "Diff Total"); {
				if time.Since(begin) > 2*time.Minute {
					t.Fatal("the group has no progress")
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
				admin([]string{"this broker has no attributes of topics: .message.type=FIFO"}, "updateTopic", "-c", "DefaultCluster", "-t", topic, "-a", "+message.type=FIFO")
				admin([]string{"request type 401 not supported"}, "setConsumeMode", "-c", "DefaultCluster", "-t", topic, "-g", group, "-m", "POP", "-q", "1")
			}
			if out := mqadmin(t, version, nameServer, "topicList"); slices.Contains(strings.Fields(out), topic) {
				t.Errorf("the topic is there:\n%s", out)
			}
		})
	}
}
