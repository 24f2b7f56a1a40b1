// Package transactionfx lets the producers of an fx application send transactions. The graph has
// to have the checker, a core.TransactionChecker, which tells brokers what became of one. It is
// made like any other part, of the database that the transactions are in, for example. All
// producers of the application take it; brokers ask each about the transactions of its group.
package transactionfx

import (
	"errors"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.uber.org/fx"
)

// Module gives the producers the checker of the graph.
var Module = fx.Module("liftoff.transaction", rocketmqfx.AsOption(New))

// Config says which topics the transactions go to.
type Config struct {
	// Topics are those of the transactions, without a namespace; see [liftoff.WithTransactions].
	// Without any a producer that was started again gets no questions until it sends.
	Topics []string `json:"topics" yaml:"topics" env:"TOPICS"`
}

// Params are what the option is made of.
type Params struct {
	fx.In

	Checker core.TransactionChecker
	Config  Config `optional:"true"`
}

// New makes the option.
func New(p Params) (liftoff.Option, error) {
	if p.Checker == nil {
		return nil, errors.New("transactionfx: the checker is nil")
	}
	return liftoff.WithTransactions(p.Checker, p.Config.Topics...), nil
}
