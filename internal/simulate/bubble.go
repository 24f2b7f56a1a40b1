package simulate

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/internal/random"
)

// one is held by the run of the process: the seed, the number of processors and the
// order of goroutines are the whole process's.
var one sync.Mutex

// bubble runs f in virtual time with the chance of a seed, and returns when all goroutines that f
// started have ended. A panic in f is an error, and so is a deadlock, whose goroutines stay.
//
// Go has virtual time for tests alone: synctest.Test wants a *testing.T. It asks of it what a
// test needs that has no parent, and the zero T is one: it passes as long as nobody fails it,
// and f, which never gets it, cannot. So nothing is printed. Nothing of package testing shows in a
// program that imports it: its flags exist only once testing.Init is called, which the go
// command does in test binaries. To run a whole testing.M instead would parse the program's
// arguments as a test's and print PASS. A test of this package sees to it that this still works.
func bubble(seed uint64, f func() error) (err error) {
	one.Lock()
	defer one.Unlock()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer random.Seed(seed)()
	done := make(chan struct{})
	// On a goroutine of its own, because a test that fails ends its goroutine.
	go func() {
		defer close(done)
		defer contain("the simulation", &err)
		synctest.Test(new(testing.T), func(*testing.T) {
			defer contain("the simulation", &err)
			err = f()
		})
	}()
	<-done
	return err
}

// contain makes an error of a panic.
func contain(what string, err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("%s panicked: %v\n%s", what, v, debug.Stack())
	}
}
