package main

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// pluginCmd are the commands about plugins.
type pluginCmd struct {
	New pluginNewCmd `cmd:"" help:"Write a module with a queue selector, a step and the tests of both."`
}

// pluginNewCmd are the flags of "liftoff plugin new".
type pluginNewCmd struct {
	Name    string `arg:"" help:"Name of the package: lower-case letters and digits, such as tenants."`
	Module  string `placeholder:"PATH" help:"Path of the module (example.com/NAME)."`
	Dir     string `placeholder:"DIR" help:"Directory for it, which is new or empty (NAME)."`
	Replace string `placeholder:"DIR" help:"Checkout of Liftoff that the module uses in place of a release."`
}

// Help is the long help of "liftoff plugin new".
func (pluginNewCmd) Help() string {
	return `Writes a Go module that builds and passes its tests at once: a queue selector, a step, the tests that run Liftoff's kits for both (strategies/strategytest and core/steptest), an example, a README and a workflow for GitHub Actions. Make it your own by changing selector.go and step.go; docs/writing-a-strategy.md and docs/writing-a-step.md go through it.

The module requires the release of Liftoff that this command is from. A command that was built in a checkout has none: then --replace names the checkout, go.mod points there, and whoever else builds the module needs one too. Nothing is downloaded.

The exit status is 0 when the module is written, 1 if a file cannot be written, and 2 for wrong usage, such as a directory that is not empty. Nothing is overwritten.

Examples:

    liftoff plugin new tenants --module github.com/acme/tenants
    go run ./cmd/liftoff plugin new tenants --dir ../tenants --replace .`
}

// liftoffModule is the module that plugins are for.
const liftoffModule = "github.com/liftoff-mq/liftoff"

// goVersion is what a module needs that requires a release of Liftoff.
const goVersion = "1.26.0"

//go:embed plugin
var pluginTemplates embed.FS

// pluginFiles are the files of a plugin, in the order in which they are told, with what they are.
var pluginFiles = []struct{ name, template, what string }{
	{"selector.go", "selector.go.tmpl", "the queue selector"},
	{"selector_test.go", "selector_test.go.tmpl", "the kit for selectors"},
	{"step.go", "step.go.tmpl", "the step"},
	{"step_test.go", "step_test.go.tmpl", "the kit for steps, and a test of what this one does"},
	{"example_test.go", "example_test.go.tmpl", "both in a producer"},
	{"doc.go", "doc.go.tmpl", "what the package is for"},
	{"README.md", "README.md.tmpl", "how to use it, and what to do before it is published"},
	{".github/workflows/test.yml", "workflow.yml.tmpl", "the tests on GitHub"},
	{"go.mod", "go.mod.tmpl", "the module"},
}

// plugin is what the templates are filled with.
type plugin struct {
	Name, Module string
	Go           string // version
	Version      string // of Liftoff
	Replace      string // a checkout of Liftoff, whole; "" for a release
	Requires     []string
	sums         []byte // of these, as go.sum has them
}

// Replacement is the checkout as go.mod has it.
func (p plugin) Replacement() string { return modfile.AutoQuote(filepath.ToSlash(p.Replace)) }

// Run writes the module.
func (c *pluginNewCmd) Run(con console) error {
	p, err := c.plugin(release())
	if err != nil {
		return usage(err)
	}
	dir := cmp.Or(c.Dir, c.Name)
	if err := emptyDir(dir); err != nil {
		return usage(fmt.Errorf("--dir %s: %w", dir, err))
	}
	files, err := p.render()
	if err != nil {
		return err
	}
	if err := writeFiles(dir, files); err != nil {
		return err
	}
	_, err = fmt.Fprint(con.out, p.told(dir))
	return err
}

// release is the version of Liftoff that the command is from; "" for one that was built in a
// checkout. Only a module that was downloaded has a sum.
func release() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != liftoffModule || info.Main.Sum == "" {
		return ""
	}
	return info.Main.Version
}

// plugin checks the command line. It tells of everything that is wrong with it.
func (c *pluginNewCmd) plugin(release string) (*plugin, error) {
	p := &plugin{Name: c.Name, Module: cmp.Or(c.Module, "example.com/"+c.Name), Version: release, Go: goVersion}
	errs := []error{checkPackageName(c.Name)}
	if errs[0] == nil || c.Module != "" {
		if err := module.CheckPath(p.Module); err != nil {
			errs = append(errs, fmt.Errorf("--module: %w", err))
		}
	}
	switch {
	case c.Replace != "":
		if err := p.useCheckout(c.Replace); err != nil {
			errs = append(errs, fmt.Errorf("--replace %s: %w", c.Replace, err))
		}
	case release == "":
		errs = append(errs, errors.New("this command was built in a checkout of Liftoff, which no module can require: name the checkout with --replace DIR"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// packageName is how packages of Go are called.
var packageName = regexp.MustCompile(`^[a-z][a-z0-9]{0,39}$`)

// takenNames are packages that the files import, and names that mean something to the go command.
var takenNames = []string{
	"atomic", "context", "core", "coretest", "errors", "fmt", "log", "steptest", "strategytest", "strings", "testing",
	"internal", "main", "testdata", "vendor",
}

func checkPackageName(name string) error {
	switch {
	case !packageName.MatchString(name):
		return fmt.Errorf("NAME %q: want the name of a Go package: lower-case letters and digits, at most 40, a letter first", name)
	case token.IsKeyword(name), types.Universe.Lookup(name) != nil, slices.Contains(takenNames, name):
		return fmt.Errorf("NAME %q: the name has another meaning in Go, or is that of a package which the files import", name)
	}
	return nil
}

// useCheckout makes the plugin use a checkout of Liftoff. What Liftoff's core requires is
// written down as well, so that the go command has nothing left to look for.
func (p *plugin) useCheckout(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return errors.New("there is no go.mod, want a checkout of Liftoff")
	}
	mod, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		return err
	}
	if mod.Module == nil || mod.Module.Mod.Path != liftoffModule || mod.Go == nil {
		return fmt.Errorf("its go.mod is not that of %s", liftoffModule)
	}
	sums, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return err
	}
	p.Version, p.Go, p.Replace = "v0.0.0", mod.Go.Version, dir
	for _, r := range mod.Require {
		if slices.Contains(coreRequires, r.Mod.Path) {
			p.Requires = append(p.Requires, r.Mod.Path+" "+r.Mod.Version)
		}
	}
	for line := range bytes.Lines(sums) {
		if slices.ContainsFunc(p.Requires, func(r string) bool {
			return bytes.HasPrefix(line, []byte(r+" ")) || bytes.HasPrefix(line, []byte(r+"/go.mod "))
		}) {
			p.sums = append(p.sums, line...)
		}
	}
	return nil
}

// coreRequires are the modules that package core and the kits are made of.
var coreRequires = []string{"golang.org/x/sync"}

// emptyDir makes sure that a directory is new or empty.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return errors.New("it is there and cannot be read as a directory")
	case len(entries) > 0:
		return errors.New("the directory is not empty")
	}
	return nil
}

// render makes the files, by name.
func (p *plugin) render() (map[string][]byte, error) {
	all, err := template.New("plugin").ParseFS(pluginTemplates, "plugin/*.tmpl")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, f := range pluginFiles {
		var text bytes.Buffer
		if err := all.ExecuteTemplate(&text, f.template, p); err != nil {
			return nil, err
		}
		files[f.name] = text.Bytes()
		switch {
		case strings.HasSuffix(f.name, ".go"):
			files[f.name], err = format.Source(text.Bytes())
		case f.name == "go.mod":
			var mod *modfile.File
			if mod, err = modfile.Parse(f.name, text.Bytes(), nil); err == nil {
				files[f.name], err = mod.Format()
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if len(p.sums) > 0 {
		files["go.sum"] = p.sums
	}
	return files, nil
}

// writeFiles writes files that are not there yet.
func writeFiles(dir string, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write(files[name])
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// told is what the command prints.
func (p *plugin) told(dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "package %s, module %s, is in %s:\n\n", p.Name, p.Module, dir)
	for _, f := range pluginFiles {
		fmt.Fprintf(&b, "    %-27s %s\n", f.name, f.what)
	}
	first := "cd " + shellWord(dir)
	if p.Replace != "" {
		fmt.Fprintf(&b, "\nLiftoff has no release yet: go.mod has a replace to the checkout in\n%s, which others do not have.\n", p.Replace)
	} else {
		first += " && go mod tidy"
	}
	fmt.Fprintf(&b, "\nNext:\n\n    %s\n    go test ./...\n", first)
	return b.String()
}

// shellWord is a word as a shell takes it.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./~:\\-]+$`)
