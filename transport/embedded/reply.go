package embedded

import (
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// serverVersion is what the servers claim to be. A client sees it in every answer.
const serverVersion = wire.V5_3_3

// Response codes beyond those a producer meets (Java ResponseCode).
const (
	codePullNotFound         rocketmq.ResponseCode = 19
	codePullRetryImmediately rocketmq.ResponseCode = 20
	codePullOffsetMoved      rocketmq.ResponseCode = 21
	codeQueryNotFound        rocketmq.ResponseCode = 22
	codeSubscriptionParse    rocketmq.ResponseCode = 23
	codeSubscriptionNotExist rocketmq.ResponseCode = 24
	codeSubscriptionOld      rocketmq.ResponseCode = 25
	codeConsumerNotOnline    rocketmq.ResponseCode = 206
	codeGroupNotExist        rocketmq.ResponseCode = 26
)

// reply is the answer to a request before it is encoded.
type reply struct {
	code   rocketmq.ResponseCode
	remark string
	ext    wire.Fields
	body   []byte

	// stored says that send holds the answer to a send instead of ext.
	stored bool
	send   wire.SendResponse

	// thrown says that a real server's handler would have thrown, which loses all fields.
	thrown bool

	// missing says in words what the cluster does not have and the request is refused for.
	missing string

	// later says that there is no answer yet, because the handler has kept the exchange, or never
	// one.
	later bool
}

func refuse(code rocketmq.ResponseCode, remark string) reply {
	return reply{code: code, remark: remark}
}

// javaException is how a real server answers when its handler threw: always with code 1.
func javaException(exception, detail string) reply {
	return reply{code: rocketmq.CodeSystemError, remark: exception + ": " + detail, thrown: true}
}

// badField is the answer to a header that lacks a field or holds nonsense.
func badField(err error) reply {
	return javaException("org.apache.rocketmq.remoting.exception.RemotingCommandException", wire.TrimRemark(err.Error()))
}

// appendReply appends the answer as a frame. One that a binary header cannot hold has a JSON header,
// as all answers of 5.x have.
func appendReply(dst []byte, ser wire.Serialization, opaque int32, r *reply) ([]byte, error) {
	b, err := appendReplyIn(dst, ser, opaque, r)
	if err != nil && ser != wire.JSON {
		return appendReplyIn(dst, wire.JSON, opaque, r)
	}
	return b, err
}

func appendReplyIn(dst []byte, ser wire.Serialization, opaque int32, r *reply) ([]byte, error) {
	if r.stored {
		head := wire.ResponseHead{
			Code: int(r.code), Opaque: opaque, Version: serverVersion, Language: wire.LanguageJava, Serialization: ser,
		}
		return wire.AppendSendResponse(dst, head, r.remark, &r.send)
	}
	return wire.AppendCommand(dst, &wire.Command{
		Code: int(r.code), Language: wire.LanguageJava, Version: serverVersion, Opaque: opaque, Flag: wire.FlagResponse,
		Remark: r.remark, Ext: r.ext, Body: r.body, Serialization: ser,
	})
}
