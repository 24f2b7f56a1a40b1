package core

import "fmt"

// Companion makes another producer over p's transport and routes, for a step that sends
// messages of its own, such as records of what p sends. Transport and Routes of cfg are left
// aside, and a nil Logger means p's. The group must be another one. Nothing else is shared: the
// companion has its own steps, limits and strategies, of which Selector and Retry are required.
//
// A step makes it when it is attached ([Attacher]), starts it in its Start and shuts it down in
// its Shutdown ([Service]): there the transport runs already, and still. What the companion has to
// send when p's last call has ended is sent in Finish ([Finisher]), which has more time.
func (p *Producer) Companion(cfg Config) (*Producer, error) {
	if cfg.Group == p.cfg.Group {
		return nil, fmt.Errorf("companion: its group is that of its producer, %q: give it another one", cfg.Group)
	}
	cfg.Transport, cfg.Routes = p.cfg.Transport, p.cfg.Routes
	if cfg.Logger == nil {
		cfg.Logger = p.cfg.Logger
	}
	return NewProducer(cfg)
}
