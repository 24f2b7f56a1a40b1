package embedded

// heldPull is a pull that waits for a message.
type heldPull struct{ wake func() }

func release(held []*heldPull) {
	for _, h := range held {
		h.wake()
	}
}

type offsets struct{}
