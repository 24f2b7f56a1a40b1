package lawtest

import (
	"fmt"
	"slices"
)

// Any in a [Rule]'s Ours stands for every folder of the root module.
const Any = "*"

// Rule says what the packages at or below Folder may import besides the
// standard library.
type Rule struct {
	// Folder is a folder of the root module, "." for the root package alone.
	Folder string
	// Exact limits the rule to Folder itself.
	Exact bool
	// Ours are folders of the root module, Except what is taken out of them.
	Ours, Except []string
	// Theirs are other modules' import paths, as prefixes.
	Theirs []string
}

const (
	otelAPI     = "go.opentelemetry.io/otel"
	otelSDK     = "go.opentelemetry.io/otel/sdk"
	fx          = "go.uber.org/fx"
	gobreaker   = "github.com/sony/gobreaker"
	sync        = "golang.org/x/sync"
	xtime       = "golang.org/x/time"
	system      = "golang.org/x/sys"
	proxy       = "golang.org/x/net/proxy"
	klauspost   = "github.com/klauspost/compress"
	lz4         = "github.com/pierrec/lz4"
	kong        = "github.com/alecthomas/kong"
	progressbar = "github.com/schollz/progressbar"
	terminal    = "golang.org/x/term"
	gomod       = "golang.org/x/mod"
	goleak      = "go.uber.org/goleak"
	rapid       = "pgregory.net/rapid"
	yaml        = "github.com/goccy/go-yaml"
)

// Law is the table of who may import whom. The most specific rule counts. A
// folder that no rule covers is an error: a new one is placed here first.
var Law = []Rule{
	// The core knows nobody, so that every part can be replaced. Below it lies what
	// RocketMQ itself says: names, codes and limits.
	{Folder: "core/rocketmq", Ours: []string{"internal/words", "internal/enum"}},
	{Folder: "core", Ours: []string{"core", "internal/fifo", "internal/absent", "internal/words", "internal/enum", "internal/plausible", "internal/logqueue"}, Theirs: []string{sync}},
	{Folder: "core/requestreply", Ours: []string{"core", "internal/confjson", "internal/logqueue", "internal/plausible", "internal/words"}},
	{Folder: "core/coretest", Ours: []string{"core"}},
	{Folder: "core/steptest", Ours: []string{"core", "internal/rulekit"}},
	// Hooks and strategies know the core and the one library they are about. Those with
	// a configuration know how it is written as JSON.
	{Folder: "hooks", Ours: []string{"core", "hooks/internal/plugin", "internal/words", "internal/plausible"}},
	{Folder: "hooks/internal/plugin", Ours: []string{"internal/absent"}},
	{Folder: "hooks/accumulate", Ours: []string{"core", "hooks/internal/plugin", "internal/words", "internal/confjson", "internal/plausible"}},
	{Folder: "hooks/msgtrace", Ours: []string{"core", "hooks/namespace", "internal/confjson", "internal/logqueue", "internal/plausible"}},
	{Folder: "hooks/sendrules", Ours: []string{"core", "internal/words", "internal/confjson", "internal/enum", "internal/plausible"}},
	{Folder: "hooks/compress", Ours: []string{"core", "hooks/internal/plugin", "internal/words"}, Theirs: []string{klauspost, lz4}},
	{Folder: "hooks/tracing", Ours: []string{"core", "hooks/internal/conventions"}, Theirs: []string{otelAPI}},
	{Folder: "hooks/metrics", Ours: []string{"core", "hooks/internal/conventions"}, Theirs: []string{otelAPI}},
	{Folder: "hooks/internal/conventions", Ours: []string{"core", "internal/words"}, Theirs: []string{otelAPI}},
	{Folder: "strategies", Ours: []string{"core", "strategies/internal", "internal/fifo", "internal/absent", "internal/confjson", "internal/enum", "internal/plausible", "internal/random"}},
	{Folder: "strategies/breaker", Ours: []string{"core", "strategies/internal", "internal/confjson", "internal/enum", "internal/plausible", "internal/logqueue"}, Theirs: []string{gobreaker}},
	{Folder: "strategies/limit", Ours: []string{"core", "strategies/internal", "internal/fifo", "internal/confjson", "internal/enum", "internal/plausible", "internal/words"}, Theirs: []string{xtime}},
	// The file of policies names every part that a policy can have.
	{
		Folder: "strategies/policyfile", Ours: []string{"core", "strategies", "hooks/compress", "hooks/sendrules", "internal/absent", "internal/confjson", "internal/filewatch", "internal/logqueue", "internal/words"},
		Except: []string{"strategies/strategytest"}, Theirs: []string{yaml},
	},
	// The two transports share the wire format and nothing else. That and the embedded
	// cluster speak RocketMQ's words and know no producer.
	{Folder: "transport", Ours: []string{"core"}},
	{Folder: "transport/transporttest", Ours: []string{"core", "internal/enum", "internal/rulekit"}},
	{Folder: "transport/wire", Ours: []string{"core/rocketmq", "internal/words", "internal/enum"}},
	{Folder: "transport/remoting", Ours: []string{"core", "transport/wire", "transport/remoting/internal", "internal/absent", "internal/confjson", "internal/filewatch", "internal/words", "internal/plausible", "internal/logqueue", "internal/random"}, Theirs: []string{proxy, system}},
	// A signer knows the requests that it signs.
	{Folder: "transport/remoting/acl", Ours: []string{"core", "transport/wire", "transport/remoting", "internal/absent", "internal/confjson", "internal/filewatch", "internal/logqueue"}},
	// Administration stands on top of the client. What it shows was packed by a hook.
	{Folder: "transport/remoting/admin", Ours: []string{"core", "transport/wire", "transport/remoting", "hooks/compress", "internal/confjson", "internal/plausible", "internal/words"}},
	// A connection knows frames and sockets, and of the core the errors that end a wait.
	{Folder: "transport/remoting/internal/conn", Ours: []string{"core", "transport/wire", "internal/fifo"}, Theirs: []string{system}},
	{Folder: "transport/embedded", Ours: []string{"core/rocketmq", "transport/wire"}, Theirs: []string{sync}},
	// The front door assembles everything and knows no fx.
	{Folder: ".", Exact: true, Ours: []string{Any}, Except: []string{"modules", "examples", "cmd", "internal/faulttest", "internal/incidents", "internal/lawtest", "internal/simulate"}},
	{Folder: "modules", Ours: []string{Any}, Except: []string{"examples", "cmd", "internal"}, Theirs: []string{fx, otelAPI}},
	{Folder: "examples", Ours: []string{Any}, Except: []string{"examples", "cmd", "internal"}, Theirs: []string{fx, otelAPI}},
	{Folder: "cmd", Ours: []string{Any}, Except: []string{
		"modules", "examples", "internal/absent", "internal/confjson", "internal/enum", "internal/fifo", "internal/plausible", "internal/race",
		"internal/logqueue", "internal/faulttest", "internal/incidents", "internal/lawtest", "internal/filewatch", "internal/rulekit",
	}, Theirs: []string{kong, progressbar, terminal, gomod, otelAPI}},
	// A data structure, a check, chance, the JSON of configurations, and loggers that cannot hurt, which
	// several floors share.
	{Folder: "internal/fifo"},
	{Folder: "internal/absent"},
	{Folder: "internal/random"},
	{Folder: "internal/filewatch"},
	{Folder: "internal/rulekit"},
	{Folder: "internal/words"},
	{Folder: "internal/plausible", Ours: []string{"internal/words"}},
	{Folder: "internal/enum", Ours: []string{"internal/words"}},
	{Folder: "internal/confjson"},
	// Between parts that log and the program's log handler.
	{Folder: "internal/logqueue", Ours: []string{"internal/words"}},
	// The simulation runs a whole producer against the embedded cluster. Only the command and
	// the program that makes the documentation's table of incidents know it.
	{Folder: "internal/simulate", Ours: []string{Any}, Except: []string{
		"modules", "examples", "cmd", "internal/faulttest", "internal/incidents", "internal/lawtest",
	}},
	{Folder: "internal/incidents", Ours: []string{"internal/simulate"}},
	// What stands between clients and servers in tests.
	{Folder: "internal/middlebox"},
	// A constant that tests ask. No other code may import it.
	{Folder: "internal/race"},
	// These hold tests of the tree and no code that anybody imports.
	{Folder: "internal"},
	{Folder: "internal/faulttest"},
}

// Lent are the folders of a nested module that other nested modules may import
// too, with the modules that may. One driver of real clusters serves both the
// tests and the bench.
var Lent = map[string][]string{"integration/realcluster": {"bench"}}

// TestLibraries are what tests may use in addition to what their package may.
var TestLibraries = []string{goleak, rapid, otelAPI}

// CheckImports reports every import that breaks law. Tests may import every
// package of the root module (a package's black-box tests see it from outside)
// except programs and, outside modules and examples, the fx modules.
//
// Packages of a nested module may import everything but each other, [Lent] aside;
// nothing of the root module may import them, or its users would need their
// dependencies.
func CheckImports(t *Tree, law []Rule) []error {
	var errs []error
	for _, f := range t.Files {
		if f.Module != "." {
			errs = append(errs, checkNested(t, f)...)
			continue
		}
		rule, ok := ruleFor(law, f.Dir())
		if !ok {
			errs = append(errs, fmt.Errorf("%s: no rule covers the folder %s", f.Path, f.Dir()))
			continue
		}
		for _, imported := range f.Imports() {
			if why := rule.refuses(t, f, imported); why != "" {
				errs = append(errs, fmt.Errorf("%s imports %s: %s", f.Path, imported, why))
			}
		}
	}
	return errs
}

func ruleFor(law []Rule, dir string) (best Rule, found bool) {
	for _, r := range law {
		if dir != r.Folder && (r.Exact || !under(dir, r.Folder)) {
			continue
		}
		if !found || len(r.Folder) > len(best.Folder) {
			best, found = r, true
		}
	}
	return best, found
}

// refuses says why the rule does not let f import a path, "" if it does.
func (r Rule) refuses(t *Tree, f *File, imported string) string {
	if standard(imported) {
		return ""
	}
	dir, ours := folderOf(imported)
	if !ours {
		if underAny(imported, r.Theirs) && (!under(imported, otelSDK) || f.Test() || under(f.Dir(), "examples")) {
			return ""
		}
		if f.Test() && underAny(imported, TestLibraries) {
			return ""
		}
		return "this folder does not use that library"
	}
	if nested := t.moduleOf(dir); nested != "." {
		return "it belongs to the nested module " + nested
	}
	if dir == f.Dir() {
		return "" // a black-box test and its package
	}
	if f.Test() {
		switch {
		case under(dir, "cmd"), under(dir, "examples"):
			return "nobody imports a program"
		case under(dir, "modules") && !under(f.Dir(), "modules") && !under(f.Dir(), "examples"):
			return "only modules and examples know the fx modules"
		}
		return ""
	}
	if underAny(dir, r.Ours) && !underAny(dir, r.Except) {
		return ""
	}
	return "this folder may not know that one"
}

func checkNested(t *Tree, f *File) []error {
	var errs []error
	for _, imported := range f.Imports() {
		dir, ours := folderOf(imported)
		if !ours {
			continue
		}
		if m := t.moduleOf(dir); m != "." && m != f.Module && !slices.Contains(Lent[dir], f.Module) {
			errs = append(errs, fmt.Errorf("%s imports %s: nested modules do not know each other", f.Path, imported))
		}
		if under(dir, "internal") {
			errs = append(errs, fmt.Errorf("%s imports %s: nested modules use the public packages, as users do", f.Path, imported))
		}
	}
	return errs
}
