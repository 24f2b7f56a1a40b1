package lawtest

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Mapped are the folders whose files the design document lists, in a table that begins with
// "| in FOLDER | is |".
var Mapped = []string{"core", "transport/remoting", "transport/remoting/internal/conn"}

// folderTable is how the table of folders begins.
const folderTable = "| folder | contents | may import |"

var quoted = regexp.MustCompile("`([^`]+)`")

// CheckMaps compares the tables of DESIGN.md with the tree and the law: each file of the
// mapped folders stands once in their tables and is there, and the table of folders has each
// folder of the law, with the folders that it names.
func CheckMaps(tree fs.FS, law []Rule, mapped []string) []error {
	const page = "DESIGN.md"
	text, err := fs.ReadFile(tree, page)
	if err != nil {
		return []error{err}
	}
	var errs []error
	for _, folder := range mapped {
		there, err := fs.Glob(tree, folder+"/*.go")
		if err != nil {
			return []error{err}
		}
		var named []string
		for _, cells := range rows(string(text), "| in "+folder+" | is |") {
			named = append(named, strings.Fields(cells[0])...)
		}
		slices.Sort(named)
		for i, name := range named {
			if i > 0 && named[i-1] == name {
				errs = append(errs, fmt.Errorf("%s names %s/%s twice", page, folder, name))
			}
			if !slices.Contains(there, path.Join(folder, name)) {
				errs = append(errs, fmt.Errorf("%s names %s/%s, which is not there", page, folder, name))
			}
		}
		for _, p := range there {
			if !strings.HasSuffix(p, "_test.go") && !slices.Contains(named, path.Base(p)) {
				errs = append(errs, fmt.Errorf("%s does not name %s in its table of %s", page, p, folder))
			}
		}
	}
	imports := map[string][]string{} // what the table says, by folder
	for _, cells := range rows(string(text), folderTable) {
		for _, folder := range inQuotes(cells[0]) {
			imports[folder] = inQuotes(cells[len(cells)-1])
		}
	}
	for _, r := range law {
		said, ok := imports[r.Folder]
		want := slices.Sorted(slices.Values(slices.DeleteFunc(slices.Concat(r.Ours, r.Except), func(f string) bool { return f == Any })))
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%s does not name the folder %s", page, r.Folder))
		case !slices.Equal(said, want):
			errs = append(errs, fmt.Errorf("%s says of what %s may import %v, the law says %v", page, r.Folder, said, want))
		}
	}
	return errs
}

// rows are the cells of the rows of a table, whose head it begins with.
func rows(text, head string) [][]string {
	_, table, _ := strings.Cut(text, head+"\n")
	var out [][]string
	for i, line := range strings.Split(table, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		if i > 0 { // below the line between head and rows
			out = append(out, strings.Split(strings.Trim(line, "|"), "|"))
		}
	}
	return out
}

// inQuotes are the names in backticks, sorted.
func inQuotes(cell string) []string {
	var out []string
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return out
}
