package lawtest_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/liftoff-mq/liftoff/internal/lawtest"
)

// What the comparison with other clients says is borne out by tests that exist.
func TestParityIsBorneOut(t *testing.T) {
	report(t, lawtest.CheckParity(os.DirFS(root), readTree(t)))
}

func TestCheckParityFindsWhatIsWrong(t *testing.T) {
	rows := []string{
		"| a | yes | `core` TestA |",
		"| b | yes: more | `core/a.go` TestA; `low` TestL, FuzzL |",
		"| c | no: why | `core` |",
		"|  | no: why | `core` |",
		"| d | have | `core` TestA |",
		"| e | no | `core` |",
		"| f | deviates: | `core` TestA |",
		"| g | yes | `core` |",
		"| h | no: why | TestA |",
		"| i | yes | `gone` TestA |",
		"| j | yes | `core` TestL |",
		"| k | yes | `core` TestMain |",
		"| l | yes |",
		"| X1 | a | b | `core` TestA |",
		"| G1 | a | b | `core` TestA |",
		"| G3 | a | b | `core` |",
	}
	var page strings.Builder
	page.WriteString("words\n\n| what | Liftoff | where |\n| --- | --- | --- |\n" + strings.Join(rows, "\n") + "\n\n| id | x | y | z |\n| --- | --- | --- | --- |\n")
	for _, letter := range []string{"G", "J"} {
		for n := 1; n <= lawtest.Defects[letter]; n++ {
			if id := fmt.Sprint(letter, n); id != "G3" && id != "G7" && id != "J16" {
				fmt.Fprintf(&page, "| %s | a | b | `core` TestA |\n", id)
			}
		}
	}
	files := fstest.MapFS{
		"docs/parity.md": {Data: []byte(page.String())},
		"core/a.go":      {Data: []byte("package core\n\nfunc TestA() {}\n")},
		"core/a_test.go": {Data: []byte("package core\n\nfunc TestA() {}\nfunc TestMain() {}\n")},
		"low/a_test.go":  {Data: []byte("package low\n\nfunc TestL() {}\nfunc FuzzL() {}\n\ntype t int\n\nfunc (t) TestM() {}\n")},
	}
	tree, err := lawtest.Read(files)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, err := range lawtest.CheckParity(files, tree) {
		got = append(got, strings.TrimPrefix(err.Error(), "docs/parity.md"))
	}
	want := []string{
		":8: cell 1 is empty",
		`:9: the verdict "have" is not yes, or deviates or no with a reason`,
		`:10: the verdict "no" is not yes, or deviates or no with a reason`,
		`:11: the verdict "deviates:" is not yes, or deviates or no with a reason`,
		":12: no test",
		`:13: "" has no TestA`, ":13: no place",
		":14: gone is not there", `:14: "" has no TestA`,
		`:15: "core" has no TestL`,
		`:16: "core" has no TestMain`,
		":17: 2 cells",
		`:18: "X1" is no id`,
		":20: no test",
		":24: G1 is there twice",
		" has no row G7", " has no row J16",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if errs := lawtest.CheckParity(fstest.MapFS{}, tree); len(errs) != 1 {
		t.Errorf("without the page: %v", errs)
	}
	empty := fstest.MapFS{"docs/parity.md": {Data: []byte("words\n")}}
	if errs := lawtest.CheckParity(empty, tree); len(errs) != 1+34+16 {
		t.Errorf("without rows: %v", errs)
	}
}
