package lawtest_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/liftoff-mq/liftoff/internal/lawtest"
)

// root is the tree's root, seen from this folder.
const root = "../.."

func readTree(t *testing.T) *lawtest.Tree {
	t.Helper()
	tree, err := lawtest.Read(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	// A rule that looked at nothing would pass for ever.
	if len(tree.Files) < 20 || len(tree.Modules) < 2 {
		t.Fatalf("read %d files in modules %v: this is not the whole tree", len(tree.Files), tree.Modules)
	}
	return tree
}

func report(t *testing.T, errs []error) {
	t.Helper()
	for _, err := range errs {
		t.Error(err)
	}
}

func TestImportLaw(t *testing.T) {
	report(t, lawtest.CheckImports(readTree(t), lawtest.Law))
}

func TestEveryRuleHasAFolder(t *testing.T) {
	for _, r := range lawtest.Law {
		if info, err := os.Stat(root + "/" + r.Folder); err != nil || !info.IsDir() {
			t.Errorf("the law has a rule for %s, which is not there", r.Folder)
		}
	}
}

func TestEveryLentFolderIsThere(t *testing.T) {
	for folder := range lawtest.Lent {
		if info, err := os.Stat(root + "/" + folder); err != nil || !info.IsDir() {
			t.Errorf("the law lends %s, which is not there", folder)
		}
	}
}

func TestNothingRunsAtImport(t *testing.T) { report(t, lawtest.CheckInit(readTree(t))) }

func TestNoFileIsTooLong(t *testing.T) { report(t, lawtest.CheckSize(readTree(t))) }

func TestNamesSayWhatIsInside(t *testing.T) { report(t, lawtest.CheckNames(readTree(t))) }

// Core speaks no protocol: no answer codes, no wire form, no text of a Java server.
func TestCoreIsNeutral(t *testing.T) { report(t, lawtest.CheckNeutral(readTree(t))) }

// A log that prints "class":1 tells nobody what happened.
func TestEnumsHaveTexts(t *testing.T) { report(t, lawtest.CheckEnums(readTree(t))) }

// DESIGN.md's tables name every file and every folder, and what a folder may import.
func TestMapsAreWhole(t *testing.T) {
	report(t, lawtest.CheckMaps(os.DirFS(root), lawtest.Law, lawtest.Mapped))
}

func TestCheckMapsFindsGaps(t *testing.T) {
	const page = "| in core | is |\n| --- | --- |\n| a.go gone.go | x |\n| a.go | x |\n\n| folder | contents | may import |\n| --- | --- | --- |\n" +
		"| `core` | `x` | `low`, a library |\n| `.` | the root | all but `cmd` |\n"
	files := fstest.MapFS{"DESIGN.md": {Data: []byte(page)}, "core/a.go": {}, "core/b.go": {}, "core/b_test.go": {}, "core/low/c.go": {}}
	law := []lawtest.Rule{
		{Folder: "core", Ours: []string{"low", "other"}},
		{Folder: ".", Ours: []string{lawtest.Any}, Except: []string{"cmd"}},
		{Folder: "hooks"},
	}
	var got []string
	for _, err := range lawtest.CheckMaps(files, law, []string{"core"}) {
		got = append(got, strings.TrimPrefix(err.Error(), "DESIGN.md "))
	}
	want := []string{
		"names core/a.go twice", "names core/gone.go, which is not there", "does not name core/b.go in its table of core",
		"says of what core may import [low], the law says [low other]", "does not name the folder hooks",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if errs := lawtest.CheckMaps(fstest.MapFS{}, law, nil); len(errs) != 1 {
		t.Errorf("without the page: %v", errs)
	}
}

func TestLinksLeadSomewhere(t *testing.T) { report(t, lawtest.CheckLinks(os.DirFS(root))) }

func TestCheckLinksFindsBrokenOnes(t *testing.T) {
	errs := lawtest.CheckLinks(fstest.MapFS{
		"README.md":  {Data: []byte("[a](docs/a.md#top) [b](docs/b.md) [c](https://example.org/x) [d](#here) [e](docs)")},
		"docs/a.md":  {Data: []byte("[up](../README.md) [gone](gone.go)")},
		"docs/x.txt": {Data: []byte("[gone](gone.go)")},
	})
	if len(errs) != 2 || !strings.Contains(errs[0].Error(), "README.md links to docs/b.md") ||
		!strings.Contains(errs[1].Error(), "docs/a.md links to gone.go") {
		t.Errorf("got %v", errs)
	}
}

// The rules find what they are made to find: each case is a tree that breaks
// one of them, or that looks as if it did and does not.
func TestRulesOnBrokenTrees(t *testing.T) {
	const nested = "module github.com/liftoff-mq/liftoff/bench\n"
	imports := func(tree *lawtest.Tree) []error { return lawtest.CheckImports(tree, lawtest.Law) }
	tests := []struct {
		name  string
		check func(*lawtest.Tree) []error
		files map[string]string
		want  []string // what each error, in order, contains
	}{
		{"core may not know a transport", imports, map[string]string{
			"core/a.go": importing("core", "context", "github.com/liftoff-mq/liftoff/transport/wire"),
		}, []string{"core/a.go imports github.com/liftoff-mq/liftoff/transport/wire: this folder may not know"}},
		{"core and x/sync", imports, map[string]string{
			"core/a.go":          importing("core", "golang.org/x/sync/singleflight"),
			"core/coretest/b.go": importing("coretest", "golang.org/x/sync/singleflight"),
		}, []string{"core/coretest/b.go imports golang.org/x/sync"}},
		{"an enum without a text", lawtest.CheckEnums, map[string]string{
			"core/a.go":       "package core\ntype Kind uint8\nconst (\n\tA Kind = iota\n\tB\n)\ntype Size int\ntype hidden uint8\nconst c hidden = 1\ntype Word string\nconst W Word = \"w\"\n",
			"core/b.go":       "package core\nfunc (k Kind) String() string { return \"\" }\nfunc (k *Kind) UnmarshalText([]byte) error { return nil }\n",
			"core/a_test.go":  "package core\ntype T uint8\nconst X T = 1\n",
			"internal/x/a.go": "package x\ntype Kind uint8\nconst A Kind = 0\n",
		}, []string{"core/a.go: the enum Kind has no MarshalText"}},
		{"a folder outside the law", imports, map[string]string{
			"goodies/a.go": importing("goodies"),
		}, []string{"no rule covers the folder goodies"}},
		{"the root's rule is for the root alone", imports, map[string]string{
			"a.go":         importing("liftoff", "github.com/liftoff-mq/liftoff/hooks/validate"),
			"goodies/a.go": importing("goodies"),
		}, []string{"no rule covers"}},
		{"the front door knows no modules", imports, map[string]string{
			"a.go": importing("liftoff", "github.com/liftoff-mq/liftoff/modules/rocketmqfx"),
		}, []string{"may not know that one"}},
		{"OpenTelemetry only where it is the concern", imports, map[string]string{
			"hooks/tracing/a.go":  importing("tracing", "go.opentelemetry.io/otel/trace"),
			"hooks/validate/a.go": importing("validate", "go.opentelemetry.io/otel/trace"),
		}, []string{"hooks/validate/a.go imports go.opentelemetry.io/otel/trace"}},
		{"the OpenTelemetry SDK only in tests", imports, map[string]string{
			"hooks/tracing/a.go":      importing("tracing", "go.opentelemetry.io/otel/sdk/trace"),
			"hooks/tracing/a_test.go": importing("tracing_test", "go.opentelemetry.io/otel/sdk/trace"),
		}, []string{"hooks/tracing/a.go imports go.opentelemetry.io/otel/sdk/trace"}},
		{"gobreaker only in breaker", imports, map[string]string{
			"strategies/breaker/a.go": importing("breaker", "github.com/sony/gobreaker/v2"),
			"strategies/retry/a.go":   importing("retry", "github.com/sony/gobreaker/v2"),
		}, []string{"strategies/retry/a.go"}},
		{"a prefix is not a path", imports, map[string]string{
			"strategies/breaker/a.go": importing("breaker", "github.com/sony/gobreakerish"),
		}, []string{"does not use that library"}},
		{"transports do not know each other", imports, map[string]string{
			"transport/remoting/a.go": importing("remoting", "github.com/liftoff-mq/liftoff/transport/embedded"),
			"transport/embedded/a.go": importing("embedded", "github.com/liftoff-mq/liftoff/transport/wire"),
		}, []string{"transport/remoting/a.go"}},
		{"tests see more, but no programs and no fx", imports, map[string]string{
			"core/a_test.go": importing("core_test", "github.com/liftoff-mq/liftoff/transport/embedded", "go.uber.org/goleak",
				"github.com/liftoff-mq/liftoff/modules/rocketmqfx", "github.com/liftoff-mq/liftoff/cmd/liftoff"),
		}, []string{"modules/rocketmqfx", "cmd/liftoff: nobody imports a program"}},
		{"nobody knows a nested module", imports, map[string]string{
			"bench/go.mod":     nested,
			"bench/load/a.go":  importing("load", "github.com/anything/at/all", "github.com/liftoff-mq/liftoff/modules/rocketmqfx"),
			"cmd/liftoff/a.go": importing("main", "github.com/liftoff-mq/liftoff/bench/load"),
		}, []string{"cmd/liftoff/a.go imports github.com/liftoff-mq/liftoff/bench/load: it belongs to the nested module bench"}},
		{"nested modules keep apart and use the public packages", imports, map[string]string{
			"bench/go.mod":       nested,
			"integration/go.mod": "module github.com/liftoff-mq/liftoff/integration\n",
			"bench/a.go": importing("bench", "github.com/liftoff-mq/liftoff/integration/javaprog",
				"github.com/liftoff-mq/liftoff/internal/lawtest"),
		}, []string{"do not know each other", "use the public packages"}},
		{"the driver of real clusters is lent to the bench and to nobody else", imports, map[string]string{
			"bench/go.mod":            nested,
			"integration/go.mod":      "module github.com/liftoff-mq/liftoff/integration\n",
			"examples/tracing/go.mod": "module github.com/liftoff-mq/liftoff/examples/tracing\n",
			"bench/a.go":              importing("bench", "github.com/liftoff-mq/liftoff/integration/realcluster"),
			"examples/tracing/a.go":   importing("main", "github.com/liftoff-mq/liftoff/integration/realcluster"),
			"core/a.go":               importing("core", "github.com/liftoff-mq/liftoff/integration/realcluster"),
		}, []string{"core/a.go imports", "examples/tracing/a.go imports"}},
		{"init", lawtest.CheckInit, map[string]string{
			"core/a.go":      "package core\nfunc init() {}\ntype t int\nfunc (t) init() {}\n",
			"core/a_test.go": "package core\nfunc init() {}\n",
		}, []string{"core/a.go:2:1: an init function"}},
		{"a variable that touches the world", lawtest.CheckInit, map[string]string{
			"core/a.go": "package core\nimport (\"os\"; n \"net\"; \"errors\")\nvar a = os.Getenv(\"X\")\nvar b, _ = n.Dial(\"\", \"\")\nvar c = errors.New(\"\")\n",
		}, []string{"core/a.go:3:9: os.Getenv", "core/a.go:4:12: n.Dial"}},
		{"a function value is no call, unless it is called", lawtest.CheckInit, map[string]string{
			"core/a.go": "package core\nimport \"os\"\nvar a = func() string { return os.Getenv(\"X\") }\nvar b = func() string { return os.Getenv(\"Y\") }()\n",
		}, []string{"core/a.go:4:32: os.Getenv"}},
		{"long", lawtest.CheckSize, map[string]string{
			"core/a.go": "package core\n" + strings.Repeat("//\n", lawtest.MaxLines-1),
			"core/b.go": "package core\n" + strings.Repeat("//\n", lawtest.MaxLines),
		}, []string{"core/b.go has 601 lines"}},
		{"vague", lawtest.CheckNames, map[string]string{
			"core/util/a.go": "package bytespool\n",
			"core/b.go":      "package common\n",
		}, []string{"package name common", "folder name util"}},
		{"core speaks no protocol", lawtest.CheckNeutral, map[string]string{
			"core/a.go": "package core\nvar a = rocketmq.PropertyKeys\nvar b = rocketmq.CodeSystemBusy\nvar c = rocketmq.Judge(1, \"AclException\")\n" +
				"// rocketmq.ResponseCode\nvar d = \"a\\x01b\"\n",
			"core/a_test.go":        "package core\nvar a = rocketmq.CodeSystemBusy\n",
			"core/refusal/a.go":     "package refusal\nvar a = rocketmq.CodeSystemBusy\n",
			"strategies/retry/a.go": "package retry\nvar a = rocketmq.CodeSystemBusy\n",
		}, []string{"rocketmq.CodeSystemBusy", "rocketmq.Judge", "AclException", `a\x01b`}},
		{"testdata and vendor are not ours", imports, map[string]string{
			"core/testdata/a.go": "package nonsense !", "vendor/x/a.go": "package nonsense !",
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{"go.mod": {Data: []byte("module github.com/liftoff-mq/liftoff\n")}}
			for name, src := range tt.files {
				files[name] = &fstest.MapFile{Data: []byte(src)}
			}
			tree, err := lawtest.Read(files)
			if err != nil {
				t.Fatal(err)
			}
			errs := tt.check(tree)
			if len(errs) != len(tt.want) {
				t.Fatalf("got errors %v, want %d", errs, len(tt.want))
			}
			for i, err := range errs {
				if !strings.Contains(err.Error(), tt.want[i]) {
					t.Errorf("error %d is %q, want one with %q", i, err, tt.want[i])
				}
			}
		})
	}
}

func TestReadRefusesWhatIsNotGo(t *testing.T) {
	_, err := lawtest.Read(fstest.MapFS{"core/a.go": {Data: []byte("pack age")}})
	if err == nil || !strings.Contains(err.Error(), "core/a.go") {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func importing(pkg string, paths ...string) string {
	var b strings.Builder
	b.WriteString("package " + pkg + "\n")
	for _, p := range paths {
		b.WriteString("import _ \"" + p + "\"\n")
	}
	return b.String()
}
