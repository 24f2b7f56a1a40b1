package remoting

import (
	"context"
	"errors"
	"time"

	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
)

// quietLimit is how long a request must have waited before its end says anything
// about the connection (Java: a fourth of the timeout or 100 ms).
const quietLimit = 100 * time.Millisecond

// errSilent is why a connection is retired on which no whole frame came back.
var errSilent = errors.New("the peer did not answer in time")

// exchange sends a request on a connection of p's and waits for the outcome, see
// [conn.Conn.Do]. The errors that a caller of the client sees have the peer's address in
// them. If the request's time ended and the peer had sent no whole frame meanwhile, the
// connection is retired: the next request dials anew. A frame that stayed incomplete for so
// long is no sign of life, since its length may be wrong.
func (p *peer) exchange(cn *conn.Conn, req *conn.Request, f *conn.Frame) error {
	err := cn.Do(req, f)
	if err == nil || err == conn.ErrStale {
		return err
	}
	if req.Silence() >= quietLimit && errors.Is(err, context.DeadlineExceeded) {
		p.retire(cn, errSilent, true)
	}
	switch e := err.(type) {
	case *conn.LostError:
		why := p.explained(cn, e.Reason)
		if err := p.refusedByTLS(why); err != nil {
			return err
		}
		return &ConnectionError{Addr: p.addr, Written: req.Written(), Err: why}
	case *conn.DecodeError:
		return &AnswerError{Addr: p.addr, Err: e.Err}
	}
	return err
}
