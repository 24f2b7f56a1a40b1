package lawtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Module is the root module's path; the nested modules' paths begin with it.
const Module = "github.com/liftoff-mq/liftoff"

// Tree is the parsed source of the root module and of the modules nested in it.
type Tree struct {
	Modules []string // folders that have a go.mod, "." for the root, sorted
	Files   []*File  // sorted by path
}

// File is one Go file.
type File struct {
	Path   string // with slashes, from the root of the tree
	Module string // the folder of the module it belongs to
	Lines  int
	Fset   *token.FileSet
	Syntax *ast.File
}

// Dir is the file's folder, "." at the root.
func (f *File) Dir() string { return path.Dir(f.Path) }

// Test reports whether the file belongs to a test.
func (f *File) Test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Imports are the import paths of the file.
func (f *File) Imports() []string {
	var paths []string
	for _, spec := range f.Syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// Read parses every Go file of the tree, whatever its build tags, except what
// the go command ignores too: testdata, vendor and names that begin with a dot
// or an underscore.
func Read(tree fs.FS) (*Tree, error) {
	t := &Tree{}
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if p != "." && ignored(d.Name()) {
				return fs.SkipDir
			}
		case d.Name() == "go.mod":
			t.Modules = append(t.Modules, path.Dir(p))
		case strings.HasSuffix(p, ".go") && !ignored(d.Name()):
			f, err := readFile(tree, p)
			if err != nil {
				return err
			}
			t.Files = append(t.Files, f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(t.Modules)
	for _, f := range t.Files {
		f.Module = t.moduleOf(f.Dir())
	}
	return t, nil
}

func ignored(name string) bool {
	return name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

func readFile(tree fs.FS, p string) (*File, error) {
	src, err := fs.ReadFile(tree, p)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, p, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return &File{Path: p, Lines: countLines(src), Fset: fset, Syntax: syntax}, nil
}

func countLines(src []byte) int {
	n := bytes.Count(src, []byte("\n"))
	if len(src) > 0 && !bytes.HasSuffix(src, []byte("\n")) {
		n++
	}
	return n
}

// moduleOf is the nearest folder above dir that has a go.mod.
func (t *Tree) moduleOf(dir string) string {
	for ; ; dir = path.Dir(dir) {
		if slices.Contains(t.Modules, dir) || dir == "." {
			return dir
		}
	}
}

// folderOf gives the tree's folder of an import path, and whether it is one of
// ours.
func folderOf(importPath string) (dir string, ours bool) {
	if importPath == Module {
		return ".", true
	}
	return strings.CutPrefix(importPath, Module+"/")
}

// standard reports whether an import path is the standard library's: its first
// element has no dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".") && importPath != "C"
}

// under reports whether p is prefix or lies below it.
func under(p, prefix string) bool {
	return p == prefix || strings.HasPrefix(p, prefix+"/")
}

func underAny(p string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return prefix == Any || under(p, prefix)
	})
}
