// Package plugin checks what programs hand to the constructors of hooks: their own hooks
// and codecs, which have a name.
package plugin

import (
	"errors"
	"fmt"

	"github.com/liftoff-mq/liftoff/internal/absent"
)

// Named is what tells one plugin from another of its kind.
type Named interface{ Name() string }

// Name asks p for its name, which the rules of step names still have to allow. It is an
// error that p is nil, also as a nil pointer in an interface, or that its Name panics.
func Name(p Named) (name string, err error) {
	if absent.Is(p) {
		return "", errors.New("it is nil")
	}
	defer func() {
		if v := recover(); v != nil {
			name, err = "", fmt.Errorf("the Name method of %T panics: %v", p, v)
		}
	}()
	return p.Name(), nil
}
