package core

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// Config.Topics are looked up at the start and never forgotten, and the transport keeps the
// connections to their brokers.

// keptTopics are these topics.
type keptTopics struct {
	names []string
	// keep tells the transport of all their brokers; nil if it keeps no connections.
	keep func(brokers []Broker)
}

// keepAgain is the first pause after which topics that could not be looked up at the start are
// looked up again; it doubles up to the time between two polls.
const keepAgain = time.Second

// checkTopics finds what is wrong with topics, each by the rules of [rocketmq.CheckTopic].
func checkTopics(topics []string) error {
	var errs []error
	for i, topic := range topics {
		if fault := rocketmq.CheckTopic(topic); fault != rocketmq.NameOK {
			errs = append(errs, fmt.Errorf("Config.Topics[%d] is %s: %v", i, words.Quote(topic), fault))
		}
	}
	return errors.Join(errs...)
}

// keeper gives what tells the transport, nil if it keeps no connections.
func (p *Producer) keeper() func(brokers []Broker) {
	t, ok := find[BrokerKeeper](p.cfg.Transport, p.cfg.Routes)
	if !ok {
		return nil
	}
	return func(brokers []Broker) {
		var err error
		func() {
			defer containPanic("transport", &err)
			t.KeepBrokers(p.cfg.Group, brokers)
		}()
		if err != nil {
			p.cfg.Logger.Error("brokers not kept", "group", p.cfg.Group, "err", err)
		}
	}
}

// warm looks the kept topics up until each has a route.
func (rc *routeCache) warm() {
	defer rc.wg.Done()
	for gap := keepAgain; ; gap = min(2*gap, rc.refresh) {
		missing := 0
		for _, name := range rc.kept.names {
			t := rc.topic(name)
			if t.route.Load() != nil {
				continue
			}
			if rc.wait(rc.lookUp(t, 0, time.Time{})); t.route.Load() == nil {
				missing++
			}
		}
		if missing == 0 {
			return
		}
		again := time.NewTimer(gap)
		select {
		case <-again.C:
		case <-rc.life.Done():
			again.Stop()
			return
		}
	}
}

// known are the brokers of a topic, as far as its route is known.
func (rc *routeCache) known(name string) []Broker {
	rc.mu.RLock()
	defer rc.mu.RUnlock()
	if t := rc.topics[name]; t != nil {
		if r := t.route.Load(); r != nil {
			return r.brokers
		}
	}
	return nil
}

// keeps reports whether the topic is a kept one.
func (rc *routeCache) keeps(name string) bool { return slices.Contains(rc.kept.names, name) }

// announce tells the transport of the brokers of all kept topics.
func (rc *routeCache) announce() {
	if rc.kept.keep == nil {
		return
	}
	var brokers []Broker
	for _, name := range rc.kept.names {
		r := rc.topic(name).route.Load()
		if r == nil {
			continue
		}
		for _, b := range r.brokers {
			if !b.Absent() && !slices.Contains(brokers, b) {
				brokers = append(brokers, b)
			}
		}
	}
	rc.kept.keep(brokers)
}
