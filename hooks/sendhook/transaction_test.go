package sendhook_test

import (
	"context"
	"errors"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
)

// transactional is a transport that carries transactions.
type transactional struct{ coretest.Transport }

func (*transactional) EndTransaction(_ context.Context, op *core.Operation) error {
	op.MarkWritten()
	return nil
}

func (*transactional) ParseCheck(*core.ServerRequest) (*core.TransactionCheck, error) {
	return nil, errors.New("nobody asks")
}

// A hook knows a half message, and sees its end not: that is no attempt.
func TestHalfMessage(t *testing.T) {
	var types []core.MessageType
	rec := &recorder{after: func(_ context.Context, c *sendhook.Context) { types = append(types, c.Type()) }}
	cfg := config(&coretest.Transport{}, step(t, rec))
	cfg.Transport = &transactional{}
	cfg.TransactionChecker = core.TransactionCheckerFunc(func(context.Context, *core.TransactionCheck) (core.TransactionDecision, error) { return 0, nil })
	p := coretest.Start(t, cfg)
	_, err := p.SendTransaction(t.Context(), &core.Message{Topic: "T", Body: []byte("x"), ShardingKey: "k"},
		func(context.Context, *core.Result) (core.TransactionDecision, error) {
			return core.TransactionCommit, nil
		})
	if err != nil || len(types) != 1 || types[0] != core.TransactionMessage {
		t.Errorf("types %v, %v", types, err)
	}
}
