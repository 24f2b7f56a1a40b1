package liftoff

import (
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
	// SendError is what every failed send returns.
	SendError = core.SendError
	// SendOption changes one send.
	SendOption = core.SendOption
	// Certainty says what became of the message of a failed send.
	Certainty = core.Certainty
	// Policy is how calls to a topic are sent, and PolicyTable says which one is for which
	// topic.
	Policy      = core.Policy
	PolicyTable = core.PolicyTable
)

// The certainties.
const (
	CertaintyUnknown = core.CertaintyUnknown
	NotSent          = core.NotSent
	NotStored        = core.NotStored
	MaybeStored      = core.MaybeStored
	Stored           = core.Stored
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
