package core

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/liftoff-mq/liftoff/internal/absent"
)

// Attacher is implemented by steps that do more for their producer than to take part in its
// calls: they make calls of their own, or handle what servers ask of its group.
type Attacher interface {
	// Attach is called once for each producer that the step is made part of, when that is
	// made and before it starts. It gives the handlers that the step has for servers'
	// requests, nil for none; see [Config].Handlers. An error is one of the producer's
	// construction. An attached step must not call the producer before it runs. A step that
	// only policies have which replace others later ([Producer.SetPolicies]) is refused there.
	Attach(p *Producer) (map[ServerRequestKind]ServerRequestHandler, error)
}

// attach tells the steps of their producer, and adds their handlers to those of the
// configuration. A kind of request has one handler.
func (p *Producer) attach(policies *policySet) []error {
	var errs []error
	handlers := maps.Clone(p.cfg.Handlers)
	owner := map[ServerRequestKind]string{}
	for _, part := range p.parts(policies) {
		a, ok := part.part.(Attacher)
		if !ok {
			continue
		}
		p.attached = append(p.attached, part.part)
		own, err := attachPart(a, p, part.name)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", part.name, err))
			continue
		}
		for kind, h := range own {
			if absent.Is(h) {
				errs = append(errs, fmt.Errorf("%s: its handler of %v requests is nil", part.name, kind))
				continue
			}
			if handlers[kind] != nil {
				other := owner[kind]
				if other == "" {
					other = "Config.Handlers"
				}
				errs = append(errs, fmt.Errorf("%s handles %v requests of servers, which %s does already", part.name, kind, other))
				continue
			}
			if handlers == nil {
				handlers = map[ServerRequestKind]ServerRequestHandler{}
			}
			handlers[kind], owner[kind] = h, part.name
		}
	}
	p.cfg.Handlers = handlers
	return errs
}

// unattached finds steps of new policies that would have had to be attached.
func (p *Producer) unattached(policies *policySet) error {
	var errs []error
	for _, part := range p.parts(policies) {
		_, ok := part.part.(Attacher)
		if ok && !slices.ContainsFunc(p.attached, func(have any) bool { return same(have, part.part) }) {
			errs = append(errs, fmt.Errorf("%s: it has to be among the steps that the producer is made with", part.name))
		}
	}
	return errors.Join(errs...)
}

// attachPart calls Attach, and keeps its panic.
func attachPart(a Attacher, p *Producer, name string) (own map[ServerRequestKind]ServerRequestHandler, err error) {
	defer containPanic(name, &err)
	return a.Attach(p)
}
