package lawtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// textForms are the methods of an enum: without them a log or a JSON file shows a number, and
// a configuration cannot name the value.
var textForms = []string{"String", "MarshalText", "UnmarshalText"}

// CheckEnums reports exported enums of packages that users see which lack a text form. An
// enum is an integer type that has constants of its own.
func CheckEnums(t *Tree) []error {
	type name struct{ dir, name string }
	integers := map[name]string{} // the file of each
	constants := map[name]bool{}
	methods := map[name][]string{}
	for _, f := range t.Files {
		if f.Test() || f.Module != "." || f.Syntax.Name.Name == "main" || slices.Contains(strings.Split(f.Dir(), "/"), "internal") {
			continue
		}
		for _, decl := range f.Syntax.Decls {
			switch d := decl.(type) {
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						if kind, ok := s.Type.(*ast.Ident); ok && s.Name.IsExported() && strings.Contains(kind.Name, "int") {
							integers[name{f.Dir(), s.Name.Name}] = f.Path
						}
					case *ast.ValueSpec:
						if kind, ok := s.Type.(*ast.Ident); ok && d.Tok == token.CONST {
							constants[name{f.Dir(), kind.Name}] = true
						}
					}
				}
			case *ast.FuncDecl:
				if d.Recv == nil {
					continue
				}
				recv := d.Recv.List[0].Type
				if p, ok := recv.(*ast.StarExpr); ok {
					recv = p.X
				}
				if kind, ok := recv.(*ast.Ident); ok {
					n := name{f.Dir(), kind.Name}
					methods[n] = append(methods[n], d.Name.Name)
				}
			}
		}
	}
	var errs []error
	for n, path := range integers {
		if !constants[n] {
			continue
		}
		for _, m := range textForms {
			if !slices.Contains(methods[n], m) {
				errs = append(errs, fmt.Errorf("%s: the enum %s has no %s", path, n.name, m))
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}
