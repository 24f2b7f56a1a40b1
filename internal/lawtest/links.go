package lawtest

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// CheckLinks reports the links of Markdown files that lead to a file which is
// not there. Links to other places, with a scheme, are not followed.
func CheckLinks(tree fs.FS) []error {
	var errs []error
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if p != "." && ignored(d.Name()) || d.Name() == "target" {
				return fs.SkipDir
			}
			return nil
		case path.Ext(p) != ".md":
			return nil
		}
		text, err := fs.ReadFile(tree, p)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			target, _, _ := strings.Cut(string(m[1]), "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			if _, err := fs.Stat(tree, path.Join(path.Dir(p), target)); err != nil {
				errs = append(errs, fmt.Errorf("%s links to %s, which is not there", p, target))
			}
		}
		return nil
	})
	if err != nil {
		errs = append(errs, err)
	}
	return errs
}
