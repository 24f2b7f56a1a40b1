package main

import (
	"errors"

	"github.com/liftoff-mq/liftoff"
)

// autobatch is the switch for the step that joins the sends of many callers: it fails until the step exists, and with
// it the cells auto-batch, which are off for the same reason.
func autobatch() ([]liftoff.Option, error) {
	return nil, errors.New("there is no step that joins sends yet")
}
