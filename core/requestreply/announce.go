package requestreply

import (
	"context"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// announceEvery is how often a request that waits looks whether the brokers still know its
// client: a connection may be lost meanwhile.
const announceEvery = time.Second

// await waits for the reply until the call ends, and says by what it ended. Waiting ends with
// the reply too.
func (r *Requester) await(ctx, waiting context.Context, call *core.Call, w *wait) error {
	for {
		turn, cancel := context.WithTimeout(ctx, announceEvery)
		why := call.Wait(turn, w.done)
		over := turn.Err() != nil
		cancel()
		switch {
		case why == nil || w.over():
			return nil
		case ctx.Err() != nil:
			return core.ContextError(ctx)
		case left(call) <= 0:
			return core.ErrTimeout
		case !over: // the shutdown
			return why
		}
		r.announce(waiting, call)
	}
}

// maxAnnounce is the longest that a request waits until the brokers know its client.
const maxAnnounce = time.Second

// maxClusters is to how many clusters of a route a request is announced. A topic is in one cluster,
// or in a few while it moves. Each cluster costs a topic in the route cache, which is looked up
// again and again, so a name server that names clusters without end must not be able to fill it.
const maxClusters = 16

// left is the time that a call has.
func left(call *core.Call) time.Duration { return time.Until(call.Deadline()) }

// announce makes sure that the brokers which may get the reply know this client: those of the first
// [maxClusters] clusters of the topic's route. What keeps it
// from that is no error of the request: the reply may come by another broker, and a route that
// cannot be had is the send's to tell.
func (r *Requester) announce(ctx context.Context, call *core.Call) {
	p := call.Producer()
	ctx, cancel := context.WithTimeout(ctx, min(maxAnnounce, left(call)/4))
	defer cancel()
	route, err := p.Route(ctx, call.Outgoing().Topic())
	if err != nil {
		return
	}
	var clusters []string
	for _, b := range route.Brokers() {
		if len(clusters) == maxClusters {
			break
		}
		if b.Cluster != "" && !slices.Contains(clusters, b.Cluster) {
			clusters = append(clusters, b.Cluster)
		}
	}
	for _, cluster := range clusters {
		if err := p.Announce(ctx, rocketmq.ReplyTopic(cluster)); err != nil && ctx.Err() == nil {
			r.cfg.Logger.Debug("brokers may not know this client", "cluster", cluster, "err", err)
		}
	}
}
