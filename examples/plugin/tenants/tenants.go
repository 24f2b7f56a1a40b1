package tenants

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/liftoff-mq/liftoff/core"
)

// Property is the property of a message that names its tenant.
const Property = "tenant"

// maxInFlight is the largest MaxInFlight. It is more than any broker answers at a time.
const maxInFlight = 100_000

// Config says who the tenants are. It can be decoded from JSON and YAML.
type Config struct {
	// Tenants are the tenants by name, at least one. Two tenants may share a broker.
	Tenants map[string]Tenant `json:"tenants" yaml:"tenants"`
	// Default is the tenant of messages that name none. Without it such messages are nobody's:
	// they may go to every broker, and nothing limits them.
	Default string `json:"default" yaml:"default"`
}

// Tenant is what one tenant has.
type Tenant struct {
	// Brokers are the names of its brokers, at least one.
	Brokers []string `json:"brokers" yaml:"brokers"`
	// MaxInFlight is how many attempts of its messages may be under way at a time, 0 for any
	// number, and at most 100,000. Others wait, for as long as they have time.
	MaxInFlight int `json:"maxInFlight" yaml:"maxInFlight"`
}

// Tenants knows the tenants. It is safe for concurrent use, and one value may serve several
// producers, which then share what MaxInFlight allows.
type Tenants struct {
	byName   map[string]*tenant
	fallback *tenant // of messages that name none; nil without one
}

// tenant is one of them. Nothing of it changes but what permits holds.
type tenant struct {
	number  int // from 1
	name    string
	brokers []string
	permits chan struct{} // has a value for each attempt that may begin; nil for any number
}

// New makes the tenants. Its error tells of everything that is wrong with the configuration.
func New(cfg Config) (*Tenants, error) {
	var errs []error
	if len(cfg.Tenants) == 0 {
		errs = append(errs, errors.New("tenants: Tenants is empty, at least one is needed"))
	}
	t := &Tenants{byName: make(map[string]*tenant, len(cfg.Tenants))}
	for _, name := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		one, err := newTenant(name, cfg.Tenants[name])
		errs = append(errs, err)
		t.byName[name], one.number = one, len(t.byName)+1
	}
	if cfg.Default != "" {
		if t.fallback = t.byName[cfg.Default]; t.fallback == nil {
			errs = append(errs, fmt.Errorf("tenants: Default is %q, which is none of the tenants", cfg.Default))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

func newTenant(name string, cfg Tenant) (*tenant, error) {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("tenants: %q: "+format, append([]any{name}, args...)...))
	}
	if name == "" {
		fail("the name is empty")
	}
	if len(cfg.Brokers) == 0 {
		fail("Brokers is empty, at least one is needed")
	}
	if slices.Contains(cfg.Brokers, "") {
		fail("Brokers has an empty name")
	}
	if cfg.MaxInFlight < 0 || cfg.MaxInFlight > maxInFlight {
		fail("MaxInFlight is %d, want 0 to %d", cfg.MaxInFlight, maxInFlight)
		cfg.MaxInFlight = 0
	}
	t := &tenant{name: name, brokers: slices.Clone(cfg.Brokers)}
	if cfg.MaxInFlight > 0 {
		t.permits = make(chan struct{}, cfg.MaxInFlight)
		for range cfg.MaxInFlight {
			t.permits <- struct{}{}
		}
	}
	return t, errors.Join(errs...)
}

// of is a message's tenant; nil for a message that is nobody's. A tenant that is not known is
// a mistake of the program, and no reason to send its messages anywhere.
func (t *Tenants) of(m *core.Message) (*tenant, error) {
	name := m.Properties[Property]
	if name == "" {
		return t.fallback, nil
	}
	one := t.byName[name]
	if one == nil {
		return nil, fmt.Errorf("%w: tenant %q is not known", core.ErrForbidden, name)
	}
	return one, nil
}

// place is the tenant's number, and 0 for the nil tenant of messages that are nobody's.
func (t *tenant) place() int {
	if t == nil {
		return 0
	}
	return t.number
}

// mayUse reports whether a broker is one of the tenant's. Messages that are nobody's may go to
// every broker.
func (t *tenant) mayUse(broker string) bool { return t == nil || slices.Contains(t.brokers, broker) }

// describe is a part of the plugin in words, with the tenants.
func (t *Tenants) describe(summary string, say func(*tenant) string) core.Description {
	d := core.Description{Summary: summary}
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		d.Settings = append(d.Settings, core.Setting{Name: name, Value: say(t.byName[name])})
	}
	if t.fallback != nil {
		d.Settings = append(d.Settings, core.Setting{Name: "messages without a tenant", Value: "as " + t.fallback.name})
	}
	return d
}
