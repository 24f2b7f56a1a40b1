package lawtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
)

// neutral are the folders that may use only those words of core/rocketmq that hold for every
// protocol: names of properties, limits, rules of names, recall handles.
var neutral = []string{"core"}

// dialect are the words of one protocol: answer codes, what they mean, system flags, the
// separators of the property text.
var dialect = regexp.MustCompile(`^(Code[A-Z]|ResponseCode$|Judge$|Verdict|Sys[A-Z]|Perm[A-Z]|NameValueSeparator$|PropertySeparator$)`)

// javaText are texts that only a Java server says, and the separators of its property text.
var javaText = regexp.MustCompile(`Exception|[\x01\x02]|TIMEOUT_CLEAN_QUEUE`)

// CheckNeutral reports production code of the neutral folders that speaks one protocol: a
// word of the dialect, or a text of a Java server. What a server's answer means only its
// transport knows.
func CheckNeutral(t *Tree) []error {
	var errs []error
	for _, f := range t.Files {
		if f.Test() || !slices.Contains(neutral, f.Dir()) {
			continue
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "rocketmq" && dialect.MatchString(n.Sel.Name) {
					errs = append(errs, fmt.Errorf("%s uses rocketmq.%s: this folder knows no protocol's codes or wire form", f.Path, n.Sel.Name))
				}
			case *ast.BasicLit:
				if n.Kind != token.STRING {
					return true
				}
				if text, err := strconv.Unquote(n.Value); err == nil && javaText.MatchString(text) {
					errs = append(errs, fmt.Errorf("%s has the text %s: this folder knows no server's words", f.Path, n.Value))
				}
			}
			return true
		})
	}
	return errs
}
