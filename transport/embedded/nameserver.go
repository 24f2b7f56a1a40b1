package embedded

import (
	"context"
	"strconv"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// NameServer is one name server of a cluster. All of them know the same, at once.
type NameServer struct {
	node *node
}

func newNameServer(c *Cluster, name, addr string) *NameServer {
	s := &NameServer{node: newNode(c, name, addr)}
	s.node.handle = s.handle
	return s
}

// Name returns "namesrv", "namesrv-2" and so on.
func (s *NameServer) Name() string { return s.node.name }

// Addr returns the address, host:port. It stays the same over Stop and Start.
func (s *NameServer) Addr() string { return s.node.advertised() }

// Stop closes the port and all connections.
func (s *NameServer) Stop() { s.node.stop() }

// Start listens again on the same port. Ctx bounds the call.
func (s *NameServer) Start(ctx context.Context) error { return s.node.start(ctx) }

// Pause stops the server as SIGSTOP would: connections stay open and new ones can be made, but
// nothing is answered until Resume.
func (s *NameServer) Pause() { s.node.paused.set(true) }

// Resume ends Pause; what arrived meanwhile is handled now.
func (s *NameServer) Resume() { s.node.paused.set(false) }

// SetReadPaused stops or resumes the reading of all connections; answers still go out. The
// client's side fills its socket.
func (s *NameServer) SetReadPaused(paused bool) { s.node.reading.set(paused) }

func (s *NameServer) handle(_ *conn, cmd *wire.Command) reply {
	switch cmd.Code {
	case wire.GetRouteInfoByTopic:
		return s.route(cmd)
	case wire.GetBrokerClusterInfo:
		return s.clusterInfo()
	case wire.GetAllTopicListFromNameServer:
		return s.topicList()
	case wire.DeleteTopicInNameServer:
		return reply{} // routes are made from what the brokers have
	case wire.GetKVConfig, getKVListByNamespace:
		return noConfiguration(cmd)
	case deleteKVConfig:
		return reply{}
	}
	return s.node.notSupported(cmd.Code)
}

// notSupported is the answer to a request code that the server does not know.
func (n *node) notSupported(code int) reply {
	n.log.Debug("request code not supported", "code", code)
	return refuse(rocketmq.CodeRequestCodeNotSupported, " request type "+strconv.Itoa(code)+" not supported").without(requestInWords(code))
}
