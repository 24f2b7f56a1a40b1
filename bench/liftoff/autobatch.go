package main

import (
	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
)

// autobatch adds the step that joins the sends of many callers, with its defaults.
func autobatch() ([]liftoff.Option, error) {
	a, err := accumulate.New(accumulate.Config{})
	if err != nil {
		return nil, err
	}
	return []liftoff.Option{liftoff.WithSteps(a.Step())}, nil
}
