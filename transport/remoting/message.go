package remoting

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// What core sends in its own terms gets remoting's form here.

// appendProperties appends a message's properties in the text form of the protocol: name,
// U+0001, value, U+0002 (Java: MessageDecoder.messageProperties2String). It is made once
// for all attempts of a call ([core.Outgoing.Form]).
func appendProperties(dst []byte, out *core.Outgoing) ([]byte, error) {
	retried := rocketmq.IsRetryTopic(out.Topic())
	for name, value := range out.Properties() {
		if retried && inHeader(name) {
			continue
		}
		dst = append(dst, name...)
		dst = append(dst, rocketmq.NameValueSeparator)
		dst = value.AppendTo(dst)
		dst = append(dst, rocketmq.PropertySeparator)
	}
	return dst, nil
}

// inHeader reports whether a property of a message for a %RETRY% topic goes into the request's
// header instead (Java: DefaultMQProducerImpl.sendKernelImpl).
func inHeader(name string) bool {
	return name == rocketmq.PropertyReconsumeTime || name == rocketmq.PropertyMaxReconsumeTimes
}

// reconsumeTimes are how often a message of a %RETRY% topic was consumed, and how often it may be:
// a broker sends it to the group's dead-letter topic after that. Without a limit it is -1.
func reconsumeTimes(out *core.Outgoing) (times, limit int, err error) {
	if times, err = numberOf(out, rocketmq.PropertyReconsumeTime, 0); err == nil {
		limit, err = numberOf(out, rocketmq.PropertyMaxReconsumeTimes, -1)
	}
	return times, limit, err
}

// numberOf is a property that is a number, or what it is where there is none.
func numberOf(out *core.Outgoing, name string, none int) (int, error) {
	text, ok := out.Property(name)
	if !ok {
		return none, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: property %s is no number from 0 to %d", core.ErrInvalidMessage, name, math.MaxInt32)
	}
	return int(n), nil
}

// codecs are the codecs that consumers know, with their system flags.
var codecs = []struct {
	name string
	flag int32
}{
	{"zlib", rocketmq.SysCompressed | rocketmq.SysCompressionZlib},
	{"lz4", rocketmq.SysCompressed | rocketmq.SysCompressionLZ4},
	{"zstd", rocketmq.SysCompressed | rocketmq.SysCompressionZstd},
}

// Capabilities implements [core.Capable]: consumers of RocketMQ know three codecs.
func (c *Client) Capabilities() core.Capabilities {
	var out core.Capabilities
	for _, codec := range codecs {
		out.Codecs = append(out.Codecs, codec.name)
	}
	return out
}

// sysFlag gives the system flag that tells consumers how the body is packed.
func sysFlag(out *core.Outgoing) (int32, error) {
	codec := out.Codec()
	if codec == "" {
		return 0, nil
	}
	for i := range codecs {
		if codecs[i].name == codec {
			return codecs[i].flag, nil
		}
	}
	return 0, fmt.Errorf("%w: no consumer knows the codec %q", core.ErrUnsupported, codec)
}

// codecOf is the codec that packed a message's body, by the text of its system flag: "" for
// none, "?" for one that this version does not know.
func codecOf(text string) string {
	flag, err := strconv.ParseInt(text, 10, 32)
	if err != nil || int32(flag)&rocketmq.SysCompressed == 0 {
		return ""
	}
	if int32(flag)&rocketmq.SysCompressionMask == 0 {
		flag |= int64(rocketmq.SysCompressionZlib) // of a producer older than the numbers
	}
	for i := range codecs {
		if codecs[i].flag == int32(flag)&(rocketmq.SysCompressed|rocketmq.SysCompressionMask) {
			return codecs[i].name
		}
	}
	return "?"
}

// setOffsetIDs gives the messages of a batch their ids, which a broker joins by commas. A
// single id is that of a batch that is stored as one: its messages share id and offset. Any
// other list that is too long or too short names no message.
func setOffsetIDs(at *core.Attempt, res *core.Result, ids string) {
	n := at.Call().Len()
	switch {
	case n < 2:
	case strings.Count(ids, ",") != n-1:
		if strings.Contains(ids, ",") {
			res.OffsetMessageID = ""
		}
		for i := range n {
			at.SetMessage(i, core.MessageResult{OffsetMessageID: res.OffsetMessageID, QueueOffset: res.QueueOffset})
		}
	case even(ids):
		at.SetOffsetIDs(ids, evenID)
	default:
		at.SetOffsetIDs(ids, unevenID)
	}
}

// even reports whether all ids are of one length, as brokers make them.
func even(ids string) bool {
	each := strings.IndexByte(ids, ',')
	if (len(ids)+1)%(each+1) != 0 {
		return false
	}
	for at := each; at < len(ids); at += each + 1 {
		if ids[at] != ',' {
			return false
		}
	}
	return each > 0
}

// evenID is id i of a list of ids of one length. It is quick.
func evenID(ids string, i int) string {
	each := strings.IndexByte(ids, ',')
	return ids[i*(each+1) : i*(each+1)+each]
}

// unevenID is id i of any list.
func unevenID(ids string, i int) string {
	id, rest, _ := strings.Cut(ids, ",")
	for range i {
		id, rest, _ = strings.Cut(rest, ",")
	}
	return id
}
