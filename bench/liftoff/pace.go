package main

import (
	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/strategies/pace"
)

// paced adds the step that keeps one-way sends from flooding a broker, with its defaults.
func paced() ([]liftoff.Option, error) {
	p, err := pace.New(pace.Config{})
	if err != nil {
		return nil, err
	}
	return []liftoff.Option{liftoff.WithSteps(p.Step())}, nil
}
