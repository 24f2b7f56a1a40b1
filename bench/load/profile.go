package load

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strings"
)

// Profiles are the kinds of profile that a Go contender can write. More than one at a time disturb each other.
var Profiles = []string{"cpu", "allocs", "mutex", "block", "trace"}

type profiles struct {
	kinds []string
	to    string // the files' names begin with it
	open  []*os.File
}

func newProfiles(s *Spec) *profiles {
	p := &profiles{to: s.ProfileTo}
	if s.Profile != "" {
		p.kinds = strings.Split(s.Profile, ",")
	}
	if p.has("allocs") {
		runtime.MemProfileRate = 4 << 10
	}
	return p
}

func (p *profiles) has(kind string) bool { return slices.Contains(p.kinds, kind) }

func (p *profiles) create(kind string) (*os.File, error) {
	f, err := os.Create(p.to + "." + kind)
	if err == nil {
		p.open = append(p.open, f)
	}
	return f, err
}

func (p *profiles) begin() error {
	if p.has("mutex") {
		runtime.SetMutexProfileFraction(5)
	}
	if p.has("block") {
		runtime.SetBlockProfileRate(10_000) // ns
	}
	if p.has("cpu") {
		f, err := p.create("cpu")
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
	}
	if p.has("trace") {
		f, err := p.create("trace")
		if err != nil {
			return err
		}
		return trace.Start(f)
	}
	return nil
}

func (p *profiles) end() error {
	if p.has("cpu") {
		pprof.StopCPUProfile()
	}
	if p.has("trace") {
		trace.Stop()
	}
	var errs []error
	for _, kind := range []string{"allocs", "mutex", "block"} {
		if !p.has(kind) {
			continue
		}
		f, err := p.create(kind)
		if err == nil {
			err = pprof.Lookup(kind).WriteTo(f, 0)
		}
		errs = append(errs, err)
	}
	for _, f := range p.open {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
