package accumulate

import (
	"fmt"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// Topics that nobody sends to any more are forgotten.
func TestGroupsAreBounded(t *testing.T) {
	a, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := coretest.Start(t, coretest.Config(&coretest.Transport{Forget: true}, a.Step()))
	for i := range 2*maxGroups + 10 {
		if _, err := p.Send(t.Context(), &core.Message{Topic: fmt.Sprint("T", i), Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.groups); n > maxGroups || n == 0 {
		t.Errorf("%d groups, at most %d are kept", n, maxGroups)
	}
	for k, g := range a.groups {
		if g.flying != 0 || g.open != nil || g.expect != 1 {
			t.Errorf("%v: %+v", k, *g)
		}
	}
}
