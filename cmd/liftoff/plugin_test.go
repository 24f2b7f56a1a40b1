package main

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// checkout is the root of the repository.
func checkout(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// newPlugin runs the command for a new directory.
func newPlugin(t *testing.T, name string, args ...string) (dir string, got output) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "of an author", name) // a blank has to be quoted in places
	got = program(t, "", append([]string{"plugin", "new", name, "--dir", dir, "--replace", checkout(t)}, args...)...)
	if got.status != exitOK || got.err != "" {
		t.Fatalf("status %d, standard error %q", got.status, got.err)
	}
	return dir, got
}

// goCommand runs the go command in a module, without a network and without changes to go.mod.
func goCommand(t *testing.T, dir string, args ...string) (out string, err error) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off", "GOWORK=off")
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// What the command writes builds and passes at once. Its tests find what is broken.
func TestNewPluginPasses(t *testing.T) {
	dir, _ := newPlugin(t, "fairshare")
	for _, args := range [][]string{{"vet", "./..."}, {"test", "./..."}} {
		if out, err := goCommand(t, dir, args...); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	for _, tt := range []struct{ file, right, wrong string }{
		{"selector.go", "return best, nil", "return best + n, nil"},
		{"step.go", "out.SetProperty(Property, s.source)", "out.Message().Tag = s.source"},
	} {
		file := filepath.Join(dir, tt.file)
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		broken := strings.Replace(string(src), tt.right, tt.wrong, 1)
		if broken == string(src) {
			t.Fatalf("%s has no %q", tt.file, tt.right)
		}
		if err := os.WriteFile(file, []byte(broken), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := goCommand(t, dir, "test", "./...")
	for _, rule := range []string{"--- FAIL: TestSelector/S2", "--- FAIL: TestStampKit/I5_message"} {
		if err == nil || !strings.Contains(out, rule) {
			t.Errorf("the tests of a broken plugin do not say %q: %v\n%s", rule, err, out)
		}
	}
}

// A module whose path ends in another name than the package's.
func TestNewPluginOfAnotherModule(t *testing.T) {
	dir, _ := newPlugin(t, "fairshare", "--module", "github.com/acme/liftoff-plugins/v2")
	if out, err := goCommand(t, dir, "vet", "./..."); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}

func TestNewPluginOutput(t *testing.T) {
	dir, got := newPlugin(t, "fairshare")
	text := strings.NewReplacer(dir, "DIR", checkout(t), "CHECKOUT").Replace(got.out)
	compare(t, "plugin-new.txt", text)
	// What is told is what is there.
	for _, f := range append(pluginFileNames(), "go.sum") {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			t.Error(err)
		}
	}
}

func pluginFileNames() (names []string) {
	for _, f := range pluginFiles {
		names = append(names, f.name)
	}
	return names
}

// The command of a release needs no checkout, and nothing of it is in the files.
func TestNewPluginOfARelease(t *testing.T) {
	p, err := (&pluginNewCmd{Name: "fairshare"}).plugin("v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	files, err := p.render()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(files["go.mod"]), "module example.com/fairshare\n\ngo 1.26.0\n\nrequire github.com/liftoff-mq/liftoff v1.2.3\n"; got != want {
		t.Errorf("go.mod is\n%s\nwant\n%s", got, want)
	}
	for name, text := range files {
		if strings.Contains(string(text), "replace") || strings.Contains(string(text), "no release") {
			t.Errorf("%s speaks of a checkout:\n%s", name, text)
		}
	}
	told := p.told("here")
	if strings.Contains(told, "no release") || !strings.Contains(told, "cd here && go mod tidy\n") {
		t.Errorf("it tells\n%s", told)
	}
	// Such a module needs the Go version that this one needs.
	data, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	if mod.Go.Version != goVersion {
		t.Errorf("goVersion is %s, and Liftoff needs %s", goVersion, mod.Go.Version)
	}
}

// What a module of a checkout requires, and no more. The path of the checkout may have a blank.
func TestNewPluginOfACheckout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a checkout")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(checkout(t), f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := (&pluginNewCmd{Name: "fairshare", Replace: dir}).plugin("")
	if err != nil {
		t.Fatal(err)
	}
	files, err := p.render()
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", files["go.mod"], nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(mod.Replace) != 1 || mod.Replace[0].Old.Path != liftoffModule || mod.Replace[0].New.Path != filepath.ToSlash(dir) {
		t.Errorf("go.mod is\n%s", files["go.mod"])
	}
	if r := mod.Require; len(r) != 2 || r[0].Mod.Path != liftoffModule || r[1].Mod.Path != "golang.org/x/sync" || !r[1].Indirect {
		t.Errorf("go.mod is\n%s", files["go.mod"])
	}
	if sums := strings.Fields(string(files["go.sum"])); len(sums) != 6 || sums[0] != "golang.org/x/sync" || sums[3] != "golang.org/x/sync" {
		t.Errorf("go.sum is\n%s", files["go.sum"])
	}
}

// The tests are built in a checkout.
func TestNoRelease(t *testing.T) {
	if got := release(); got != "" {
		t.Errorf("this is release %s", got)
	}
}

func TestNewPluginMistakes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	if err := os.MkdirAll(other, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "go.mod"), []byte("module example.com/other\n\ngo 1.26.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	root := checkout(t)
	for _, tt := range []struct {
		name string
		args []string
		want []string // in the message
	}{
		{"no name", nil, []string{"NAME is missing"}},
		{"a name with a dash", []string{"fair-share", "--replace", root}, []string{`NAME "fair-share": want the name of a Go package`}},
		{"a name with a capital", []string{"fairShare", "--replace", root}, []string{`NAME "fairShare"`}},
		{"a path for a name", []string{"github.com/acme/fairshare", "--replace", root}, []string{"want the name of a Go package"}},
		{"a keyword", []string{"select", "--replace", root}, []string{`NAME "select": the name has another meaning`}},
		{"a built-in", []string{"len", "--replace", root}, []string{`NAME "len"`}},
		{"no checkout", []string{"fairshare"}, []string{"name the checkout with --replace DIR"}},
		{"no such checkout", []string{"fairshare", "--replace", filepath.Join(dir, "nothing")}, []string{"--replace", "there is no go.mod"}},
		{"another checkout", []string{"fairshare", "--replace", other}, []string{"its go.mod is not that of github.com/liftoff-mq/liftoff"}},
		{"a bad module", []string{"fairshare", "--module", "../fairshare", "--replace", root}, []string{"--module", "invalid path element"}},
		{"everything", []string{"9lives", "--module", "a b"}, []string{`NAME "9lives"`, "--module", "--replace DIR"}},
		{"a directory with something in it", []string{"fairshare", "--dir", dir, "--replace", root}, []string{"the directory is not empty"}},
		{"a file", []string{"fairshare", "--dir", file, "--replace", root}, []string{"cannot be read as a directory"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"plugin", "new"}, tt.args...)
			if !slices.Contains(args, "--dir") {
				args = append(args, "--dir", filepath.Join(dir, "new"))
			}
			got := program(t, "", args...)
			if got.status != exitUsage || got.out != "" || !strings.Contains(got.err, "Try: liftoff plugin new --help") {
				t.Errorf("%+v", got)
			}
			for _, want := range tt.want {
				if !strings.Contains(got.err, want) {
					t.Errorf("said %q, want %q", got.err, want)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
				t.Error("something was written")
			}
		})
	}
}

// A directory that cannot be written to is no wrong usage.
func TestNewPluginCannotWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file", "below")
	if err := os.WriteFile(filepath.Dir(dir), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeFiles(dir, map[string][]byte{"a": nil}); err == nil {
		t.Error("a directory below a file was made")
	}
	there := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(there, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := writeFiles(filepath.Dir(there), map[string][]byte{"a": []byte("theirs")})
	if text, _ := os.ReadFile(there); err == nil || string(text) != "mine" {
		t.Errorf("a file was overwritten with %q: %v", text, err)
	}
}

// A plugin cannot have the name of a package that its files import.
func TestImportedNamesAreTaken(t *testing.T) {
	dir, _ := newPlugin(t, "fairshare")
	for _, f := range pluginFileNames() {
		if path.Ext(f) != ".go" {
			continue
		}
		src, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, f), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range src.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if p != "example.com/fairshare" && checkPackageName(path.Base(p)) == nil {
				t.Errorf("a plugin may be called as %s, which %s imports", p, f)
			}
		}
	}
}
