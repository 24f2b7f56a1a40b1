// Package requestreply asks questions over RocketMQ: a request is a message, a consumer sends
// a reply to it, and the broker brings the reply to the client that made the request.
//
// A [Requester] is a step of a producer, made with [New]. Its Request sends a message and waits
// for the reply; RequestAsync tells a function. A consumer, whatever client it uses, replies
// with [NewReply] and any producer. Both ends work with the Java client's.
//
// # How a request goes
//
// Request makes a correlation id and sends the message with it, with the id of the producer's
// client and with the milliseconds that are left. It is one call of the producer, from the send
// to the reply: the call's time, its context, retries, breakers, traces, metrics and the
// producer's shutdown hold for both.
//
// The broker that takes the reply brings it to the client, so every broker of the cluster has to
// know the client. The step makes sure of that with heartbeats before the request goes
// ([core.Producer.Announce]); where the topic's route names more than 16 clusters, of the first 16.
// A broker that does not answer them delays a request for a quarter
// of its time, a second at most, and then not again for some seconds.
//
// A request whose send failed for certain fails at once. If the send failed so that the message
// may be stored, the reply can still come, so Request goes on waiting for it until its time is
// over. Java's client gives up there. A reply that comes while the send is still under way ends
// the send: the message has arrived, whatever becomes of the acknowledgement.
//
// # What may happen
//
// A request can be executed twice, as a message can be stored twice: its retry policy decides
// about that, and [core.SendRetry] with one that makes no second attempt prevents it. The
// requester takes the first reply. Later ones, those to requests that are over and those to
// requests that were never made are counted and dropped; see [Requester.Snapshot]. A reply is
// not kept for a requester that is away. Who knows a correlation id can send a reply to it, so a
// reply is worth as much as the access to the cluster.
package requestreply
