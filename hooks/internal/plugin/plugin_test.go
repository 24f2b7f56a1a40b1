package plugin_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/hooks/internal/plugin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	text    string
	pointer struct{ name string }
	table   map[string]string
	list    []string
	call    func() string
	line    chan string
)

func (t text) Name() string     { return string(t) }
func (p *pointer) Name() string { return p.name }
func (table) Name() string      { return "table" }
func (list) Name() string       { return "list" }
func (call) Name() string       { return "call" }
func (line) Name() string       { return "line" }

type wild struct{}

func (wild) Name() string { panic("boom") }

func TestName(t *testing.T) {
	for _, p := range []plugin.Named{text("a.b"), &pointer{"a.b"}} {
		if name, err := plugin.Name(p); name != "a.b" || err != nil {
			t.Errorf("%T: got %q, %v", p, name, err)
		}
	}
	for _, p := range []plugin.Named{nil, (*pointer)(nil), table(nil), list(nil), call(nil), line(nil)} {
		if name, err := plugin.Name(p); name != "" || err == nil || !strings.Contains(err.Error(), "nil") {
			t.Errorf("%T: got %q, %v, want an error", p, name, err)
		}
	}
	if _, err := plugin.Name(wild{}); err == nil || !strings.Contains(err.Error(), "plugin_test.wild panics: boom") {
		t.Errorf("got %v", err)
	}
}
