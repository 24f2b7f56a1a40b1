package liftoff

import (
	"context"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// The names that every program needs, so that a first send needs one import. They are
// package core's; its documentation has all of them.
type (
	// Producer sends messages through a pipeline; [New] makes it.
	Producer = core.Producer
	// Message is what is sent.
	Message = core.Message
	// Queue names a message queue of a topic.
	Queue = core.Queue
	// Result describes a message that a broker acknowledged.
	Result = core.Result
	// BatchResult describes the messages of a batch.
	BatchResult = core.BatchResult
	// SendOutcomes are what became of the messages of [Producer.SendAll].
	SendOutcomes = core.SendOutcomes
	// TransactionDecision is what becomes of a half message.
	TransactionDecision = core.TransactionDecision
	// TransactionResult is what became of a transaction.
	TransactionResult = core.TransactionResult
	// TransactionCheck is a broker's question about a half message.
	TransactionCheck = core.TransactionCheck
	// TransactionError is a transaction that did not end as it should.
	TransactionError = core.TransactionError
	// SendError is what every failed send returns.
	SendError = core.SendError
	// SendOption changes one send.
	SendOption = core.SendOption
	// Certainty says what became of the message of a failed send.
	Certainty = core.Certainty
	// Policy is how calls to a topic are sent.
	Policy = core.Policy
	// PolicyTable says which policy is for which topic: it is what [WithPolicies] takes. Its
	// Default is required.
	PolicyTable = core.PolicyTable
	// PatternPolicy is the policy of topics that fit a pattern, in a [PolicyTable].
	PatternPolicy = core.PatternPolicy
)

// The certainties. Their zero is CertaintyUnknown.
const (
	CertaintyUnknown = core.CertaintyUnknown // nothing is known; treat it as MaybeStored
	NotSent          = core.NotSent          // no byte of it left the process
	NotStored        = core.NotStored        // a broker got it and refused it
	MaybeStored      = core.MaybeStored      // it was sent, and no answer came
	Stored           = core.Stored           // it is stored, with a weaker status than was asked for
)

// The decisions. Their zero is TransactionUnknown.
const (
	TransactionUnknown  = core.TransactionUnknown  // it is not known yet; the broker asks later
	TransactionCommit   = core.TransactionCommit   // consumers get the message
	TransactionRollback = core.TransactionRollback // nobody gets it
)

// CertaintyOf finds what the error of a send says of the message; see [core.CertaintyOf].
func CertaintyOf(err error) Certainty { return core.CertaintyOf(err) }

// SendTimeout sets the time of one send, all attempts included; see [core.SendTimeout].
func SendTimeout(d time.Duration) SendOption { return core.SendTimeout(d) }

// SendAttemptTimeout caps each attempt of one send; see [core.SendAttemptTimeout].
func SendAttemptTimeout(d time.Duration) SendOption { return core.SendAttemptTimeout(d) }

// SendRetry sets the retry policy of one send; see [core.SendRetry].
func SendRetry(policy core.RetryPolicy) SendOption { return core.SendRetry(policy) }

// SendSelector sets the queue selector of one send; see [core.SendSelector].
func SendSelector(s core.QueueSelector) SendOption { return core.SendSelector(s) }

// CheckFunc is a checker of transactions that is a function; see [core.TransactionChecker].
func CheckFunc(f func(ctx context.Context, c *TransactionCheck) (TransactionDecision, error)) core.TransactionChecker {
	return core.TransactionCheckerFunc(f)
}
