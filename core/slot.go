package core

// Slot is typed storage in a call for one plugin: what an interceptor learns in
// message scope, its attempt half reads. It costs no context value and no
// string key. Make it once, when the plugin is made, with [NewSlot].
//
// A slot's values go with the call; nothing of it outlives the call's outcome.
// The zero Slot is not usable.
type Slot[T any] struct{ key *slotKey }

type slotKey struct{ name string }

// NewSlot makes a slot. The name is for people who debug; two slots of one name
// are two slots.
func NewSlot[T any](name string) Slot[T] { return Slot[T]{&slotKey{name}} }

// Set stores v for the rest of the call. A pointer costs no allocation.
func (s Slot[T]) Set(c *Call, v T) {
	for i := range c.slots {
		if c.slots[i].key == s.key {
			c.slots[i].value = v
			return
		}
	}
	c.slots = append(c.slots, slotValue{s.key, v})
}

// Get returns what Set stored in this call, and whether it did.
func (s Slot[T]) Get(c *Call) (T, bool) {
	for i := range c.slots {
		if c.slots[i].key == s.key {
			v, ok := c.slots[i].value.(T)
			return v, ok
		}
	}
	var zero T
	return zero, false
}

type slotValue struct {
	key   *slotKey
	value any
}
