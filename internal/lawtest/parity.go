package lawtest

import (
	"fmt"
	"go/ast"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// parityPage compares Liftoff with other clients.
const parityPage = "docs/parity.md"

// evidence is a path in backquotes, or the name of a test.
var evidence = regexp.MustCompile("`([^`]+)`|\\b((?:Test|Example|Fuzz)[A-Z0-9]\\w*|Example)\\b")

// defect is the id of a row in the registers of defects.
var defect = regexp.MustCompile(`^([GJ])([0-9]+)[a-z]?$`)

// Defects are the registers of the page: how many rows each letter has at least,
// numbered from 1.
var Defects = map[string]int{"G": 34, "J": 16}

// CheckParity reports what the comparison with other clients says and the tree
// does not bear out: a row with an empty cell, a verdict that is none of yes,
// deviates and no, an id that is missing or twice there, a path that is not
// there, a test that the folder named before it does not have, and a yes, a
// deviation or a defect without a test.
func CheckParity(files fs.FS, tree *Tree) []error {
	text, err := fs.ReadFile(files, parityPage)
	if err != nil {
		return []error{err}
	}
	p := parity{files: files, tests: testsByFolder(tree), ids: map[string]bool{}}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "|") && !rule(line) && (i+1 == len(lines) || !rule(lines[i+1])) {
			p.row(i+1, line)
		}
	}
	if p.rows == 0 {
		p.errorf("%s has no rows", parityPage)
	}
	for _, letter := range []string{"G", "J"} {
		for n := 1; n <= Defects[letter]; n++ {
			if id := fmt.Sprint(letter, n); !p.ids[id] {
				p.errorf("%s has no row %s", parityPage, id)
			}
		}
	}
	return p.errs
}

// rule reports whether a line of a table is the one below its head.
func rule(line string) bool { return strings.HasPrefix(line, "| ---") }

type parity struct {
	files fs.FS
	tests map[string]map[string]bool // by folder and name
	ids   map[string]bool
	rows  int
	errs  []error
}

func (p *parity) errorf(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

func (p *parity) row(line int, text string) {
	p.rows++
	at := fmt.Sprintf("%s:%d", parityPage, line)
	cells := strings.Split(strings.Trim(text, "|"), "|")
	for i := range cells {
		if cells[i] = strings.TrimSpace(cells[i]); cells[i] == "" {
			p.errorf("%s: cell %d is empty", at, i+1)
		}
	}
	needsTest := true
	switch len(cells) {
	case 3:
		verdict, why, explained := strings.Cut(cells[1], ": ")
		if verdict != "yes" && (verdict != "deviates" && verdict != "no" || !explained || why == "") {
			p.errorf("%s: the verdict %q is not yes, or deviates or no with a reason", at, cells[1])
		}
		needsTest = verdict != "no"
	case 4:
		if !defect.MatchString(cells[0]) {
			p.errorf("%s: %q is no id", at, cells[0])
		}
		if p.ids[cells[0]] {
			p.errorf("%s: %s is there twice", at, cells[0])
		}
		p.ids[cells[0]] = true
	default:
		p.errorf("%s: %d cells", at, len(cells))
		return
	}
	places, tests := p.evidence(at, cells[len(cells)-1])
	if places == 0 {
		p.errorf("%s: no place", at)
	}
	if tests == 0 && needsTest {
		p.errorf("%s: no test", at)
	}
}

// evidence looks up each path and each test of a cell. A test belongs to the
// path before it.
func (p *parity) evidence(at, cell string) (places, tests int) {
	var folder string
	for _, m := range evidence.FindAllStringSubmatch(cell, -1) {
		place, test := m[1], m[2]
		if test != "" {
			tests++
			if !p.tests[folder][test] {
				p.errorf("%s: %q has no %s", at, folder, test)
			}
			continue
		}
		places++
		info, err := fs.Stat(p.files, place)
		switch {
		case err != nil:
			p.errorf("%s: %s is not there", at, place)
		case info.IsDir():
			folder = place
		default:
			folder = path.Dir(place)
		}
	}
	return places, tests
}

// testsByFolder has the names of the functions that go test runs.
func testsByFolder(tree *Tree) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, f := range tree.Files {
		if !f.Test() {
			continue
		}
		names := all[f.Dir()]
		if names == nil {
			names = map[string]bool{}
			all[f.Dir()] = names
		}
		for _, d := range f.Syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name != "TestMain" {
				names[fn.Name.Name] = true
			}
		}
	}
	return all
}
