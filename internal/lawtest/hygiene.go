package lawtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
)

// MaxLines is the most lines a Go file may have. Two thirds of it are plenty.
const MaxLines = 600

// vague are package names that say nothing about their contents.
var vague = []string{"util", "utils", "common", "commons", "helper", "helpers", "misc", "shared", "base", "types"}

// worldly are standard packages whose functions touch the world: a package
// variable may not be made by one of them.
var worldly = []string{"os", "os/exec", "os/signal", "net", "net/http", "syscall", "log", "log/slog", "runtime/debug"}

// harmless are functions of worldly packages that do not.
var harmless = []string{"net.ParseIP", "net.IPv4", "slog.New", "slog.NewTextHandler"}

// CheckSize reports files that are too long to be read at once.
func CheckSize(t *Tree) []error {
	var errs []error
	for _, f := range t.Files {
		if f.Lines > MaxLines {
			errs = append(errs, fmt.Errorf("%s has %d lines, at most %d are allowed: one concept a file", f.Path, f.Lines, MaxLines))
		}
	}
	return errs
}

// CheckNames reports packages and folders named after nothing.
func CheckNames(t *Tree) []error {
	var errs []error
	for _, f := range t.Files {
		if name := f.Syntax.Name.Name; slices.Contains(vague, name) {
			errs = append(errs, fmt.Errorf("%s: package name %s does not say what is inside", f.Path, name))
		}
		if name := path.Base(f.Dir()); slices.Contains(vague, name) {
			errs = append(errs, fmt.Errorf("%s: folder name %s does not say what is inside", f.Path, name))
		}
	}
	return errs
}

// CheckInit reports what runs at import outside tests: init functions, and
// package variables made by a function that touches files, the network, the
// environment or a process-wide logger.
func CheckInit(t *Tree) []error {
	var errs []error
	for _, f := range t.Files {
		if f.Test() {
			continue
		}
		for _, decl := range f.Syntax.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					errs = append(errs, fmt.Errorf("%v: an init function runs code at import", f.Fset.Position(d.Pos())))
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					errs = append(errs, f.worldlyCalls(d)...)
				}
			}
		}
	}
	return errs
}

func (f *File) worldlyCalls(d *ast.GenDecl) []error {
	var errs []error
	ast.Inspect(d, func(n ast.Node) bool {
		if lit, ok := n.(*ast.FuncLit); ok {
			return calledAtOnce(d, lit) // a function value does nothing until it is called
		}
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		name := pkg.Name + "." + sel.Sel.Name
		if slices.Contains(worldly, f.importedAs(pkg.Name)) && !slices.Contains(harmless, name) {
			errs = append(errs, fmt.Errorf("%v: %s runs at import", f.Fset.Position(call.Pos()), name))
		}
		return true
	})
	return errs
}

// calledAtOnce reports whether lit is the function of a call in d.
func calledAtOnce(d *ast.GenDecl, lit *ast.FuncLit) (called bool) {
	ast.Inspect(d, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && ast.Unparen(call.Fun) == lit {
			called = true
		}
		return !called
	})
	return called
}

// importedAs is the import path that a package name stands for in the file.
func (f *File) importedAs(name string) string {
	for _, spec := range f.Syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if (spec.Name != nil && spec.Name.Name == name) || (spec.Name == nil && path.Base(p) == name) {
			return p
		}
	}
	return ""
}
