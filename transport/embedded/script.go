package embedded

import (
	"slices"
	"sync"
	"sync/atomic"
)

// AnyCode makes a rule of [Cluster.Control] see the requests of every code.
const AnyCode = -1

// script is the list of fault rules. Reading costs one atomic load while there are none.
type script struct {
	mu    sync.Mutex // held by writers
	table atomic.Pointer[map[int][]*rule]
}

type rule struct {
	fn   func(*Request) Action
	once bool
	mu   sync.Mutex // of a rule with once: held while fn decides
	used bool
	drop func()
}

// Control installs a rule for a request code of all servers, name servers included, and returns
// what removes it again. Fn decides by the request: its server, its connection, its content. The
// newest rule that does not return [Pass] wins; rules for [AnyCode] come last.
//
// Fn runs on the goroutine of the request's connection, for several connections at a time; while
// it runs no other request of its connection is handled. It may call methods of the cluster,
// Close excepted.
func (c *Cluster) Control(code int, fn func(*Request) Action) (remove func()) {
	return c.script.add(code, &rule{fn: fn})
}

// ControlOnce is [Cluster.Control] for a rule that is used up by the first request for which fn
// returns another action than [Pass]. Its fn runs for one request at a time.
func (c *Cluster) ControlOnce(code int, fn func(*Request) Action) (remove func()) {
	return c.script.add(code, &rule{fn: fn, once: true})
}

func (s *script) add(code int, r *rule) (remove func()) {
	r.drop = func() {
		s.change(code, func(l []*rule) []*rule { return slices.DeleteFunc(l, func(o *rule) bool { return o == r }) })
	}
	s.change(code, func(l []*rule) []*rule { return append(l, r) })
	return r.drop
}

// change replaces the rules of a code; edit gets a list of its own.
func (s *script) change(code int, edit func([]*rule) []*rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[int][]*rule)
	if old := s.table.Load(); old != nil {
		for k, l := range *old {
			next[k] = l
		}
	}
	if l := edit(slices.Clone(next[code])); len(l) > 0 {
		next[code] = l
	} else {
		delete(next, code)
	}
	if len(next) == 0 {
		s.table.Store(nil)
		return
	}
	s.table.Store(&next)
}

// ruleSet is the rules that a request meets.
type ruleSet struct{ own, every []*rule }

func (s *script) rules(code int) ruleSet {
	t := s.table.Load()
	if t == nil {
		return ruleSet{}
	}
	return ruleSet{own: (*t)[code], every: (*t)[AnyCode]}
}

func (s ruleSet) any() bool { return len(s.own)+len(s.every) > 0 }

// decide asks the rules, the newest first.
func (s ruleSet) decide(req *Request) Action {
	for _, l := range [...][]*rule{s.own, s.every} {
		for _, r := range slices.Backward(l) {
			if a := r.ask(req); a.run != nil {
				return a
			}
		}
	}
	return Action{}
}

func (r *rule) ask(req *Request) Action {
	if !r.once {
		return r.fn(req)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used {
		return Action{}
	}
	a := r.fn(req)
	if a.run != nil {
		r.used = true
		r.drop()
	}
	return a
}
