package liftoff_test

import (
	"encoding"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// settings writes the tables of one configuration.
type settings struct {
	configured
	t      *testing.T
	tables map[string]string
	used   map[string]bool
	made   any
}

const headOfSettings = "| Go field | YAML, JSON | environment | kind | default | range | meaning |\n| --- | --- | --- | --- | --- | --- | --- |\n"

// walk writes the table of a struct, and those of the structs in it.
func (s *settings) walk(typ reflect.Type, index []int, path, yaml, env string) {
	if s.used == nil {
		s.used = map[string]bool{}
		made, err := s.try(nil, reflect.Value{})
		if err != nil {
			s.t.Fatalf("%T: %v", s.base, err)
		}
		s.made = made
	}
	docs := docsOf(s.t, typ)
	var table strings.Builder
	table.WriteString(headOfSettings)
	for i := range typ.NumField() {
		f := typ.Field(i)
		name := f.Tag.Get("yaml")
		if name == "-" || path == "Client" && f.Name == "NameServers" { // the producer's own stand for them
			continue
		}
		if json := f.Tag.Get("json"); json != name || name == "" {
			s.t.Errorf("%v.%s: the names are %q in YAML and %q in JSON", typ, f.Name, name, json)
		}
		at, full := append(slices.Clone(index), i), strings.TrimPrefix(path+"."+f.Name, ".")
		meaning := docs[f.Name]
		if meaning == "" {
			s.t.Errorf("%v.%s has no comment", typ, f.Name)
		}
		if prefix, ok := f.Tag.Lookup("envPrefix"); ok {
			fmt.Fprintf(&table, "| `%s` | `%s` | `%s...` | `%v`, see its table | | | %s |\n", full, yaml+name, env+prefix, f.Type, meaning)
			s.walk(f.Type, at, full, yaml+name+".", env+prefix)
			continue
		}
		variable := f.Tag.Get("env")
		if variable == "" {
			s.t.Errorf("%v.%s has no environment variable", typ, f.Name)
		}
		s.used[full] = true
		fmt.Fprintf(&table, "| `%s` | `%s` | `%s` | %s | %s | %s | %s |\n",
			full, yaml+name, env+variable, kindOf(f), s.byDefault(f, at, full), s.allowed(f, at, full), meaning)
	}
	s.tables[typ.String()] = table.String()
}

// try makes what is configured with one setting changed.
func (s *settings) try(index []int, value reflect.Value) (any, error) {
	c := reflect.New(reflect.TypeOf(s.base)).Elem()
	c.Set(reflect.ValueOf(s.base))
	if index != nil {
		c.FieldByIndex(index).Set(value)
	}
	return s.make(c)
}

func (s *settings) accepts(index []int, value any, typ reflect.Type) bool {
	v := reflect.ValueOf(value)
	if c := v.Convert(typ); v.CanInt() && c.CanInt() && c.Int() != v.Int() {
		return false // it does not fit, as a large number into the int of a 32-bit machine
	}
	_, err := s.try(index, v.Convert(typ))
	return err == nil
}

// effective is the value of a setting in what the constructor made; the zero value where
// that keeps no such setting.
func (s *settings) effective(f reflect.StructField, index []int) reflect.Value {
	if v := find(reflect.ValueOf(s.made), reflect.TypeOf(s.base), f, index, 0); v.IsValid() {
		return v
	}
	// Some keep settings one by one, under the same names but small.
	made := reflect.Indirect(reflect.ValueOf(s.made))
	for i, at := range index {
		if made.Kind() != reflect.Struct {
			break
		}
		name := reflect.TypeOf(s.base).FieldByIndex(index[:i+1]).Name
		if i == 0 {
			name = strings.ToLower(name[:1]) + name[1:]
			made = made.FieldByName(name)
		} else {
			made = made.Field(at)
		}
		if i == len(index)-1 && made.IsValid() && made.Type() == f.Type {
			return made
		}
	}
	return reflect.Zero(f.Type)
}

// find looks for the configuration within what was made of it. For that of a producer, core's
// and the client's are the ones.
func find(v reflect.Value, base reflect.Type, f reflect.StructField, index []int, depth int) reflect.Value {
	if depth > 7 || !v.IsValid() {
		return reflect.Value{}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return reflect.Value{}
		}
		return find(v.Elem(), base, f, index, depth+1)
	case reflect.Slice:
		for i := range min(v.Len(), 4) {
			if got := find(v.Index(i), base, f, index, depth+1); got.IsValid() {
				return got
			}
		}
	case reflect.Struct:
		if got := within(v, base, f, index); got.IsValid() {
			return got
		}
		for i := range v.NumField() {
			if !strings.HasPrefix(v.Type().Field(i).Type.String(), "sync") {
				if got := find(v.Field(i), base, f, index, depth+1); got.IsValid() {
					return got
				}
			}
		}
	}
	return reflect.Value{}
}

func within(v reflect.Value, base reflect.Type, f reflect.StructField, index []int) reflect.Value {
	name := v.Type().String()
	switch {
	case v.Type() == base:
		return v.FieldByIndex(index)
	case base.String() != "liftoff.Config":
	case name == "core.Config" && len(index) == 1:
		if got := v.FieldByName(f.Name); got.IsValid() && got.Type() == f.Type {
			return got
		}
	case len(index) > 1 && v.Type() == base.Field(index[0]).Type:
		return v.FieldByIndex(index[1:])
	}
	return reflect.Value{}
}

func kindOf(f reflect.StructField) string {
	switch t := f.Type; {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[[]time.Duration]():
		return "list of durations"
	case strings.HasSuffix(t.String(), "Secret"):
		return "secret text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Map:
		return "mapping"
	case named(t):
		return "name"
	case inBytes(f):
		return "bytes"
	}
	return "number"
}

func inBytes(f reflect.StructField) bool {
	return strings.HasSuffix(f.Name, "Bytes") || f.Name == "MaxBody"
}

func named(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// names are those of an enumeration.
func names(t reflect.Type) (out []string) {
	for i := range 64 {
		v := reflect.New(t).Elem()
		v.SetUint(uint64(i))
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			break
		}
		out = append(out, "`"+string(text)+"`")
	}
	return out
}

func (s *settings) byDefault(f reflect.StructField, index []int, path string) string {
	if words := s.unlike[path]; words != "" {
		return words
	}
	if name := s.described[path]; name != "" {
		for _, part := range s.made.([]any) {
			for _, setting := range core.Describe(part).Settings {
				if _, value, ok := strings.Cut(", "+setting.Value, ", "+name+" "); ok {
					return value
				}
			}
		}
		s.t.Errorf("%T says nothing of %s", s.base, name)
	}
	if !reflect.ValueOf(s.base).FieldByIndex(index).IsZero() {
		if _, err := s.try(index, reflect.Zero(f.Type)); err != nil {
			return "required"
		}
		return "none"
	}
	v := s.effective(f, index)
	switch {
	case v.CanInt() && v.Int() != 0:
		return quantity(f, v.Int())
	case f.Type == reflect.TypeFor[[]time.Duration]() && v.Len() > 0:
		var items []string
		for i := range v.Len() {
			items = append(items, period(time.Duration(v.Index(i).Int())))
		}
		return strings.Join(items, ", ")
	case v.CanFloat():
		return decimal(v.Float())
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case v.CanUint() && named(f.Type):
		return names(f.Type)[v.Uint()]
	case v.Kind() == reflect.String && v.Len() > 0:
		return "`" + v.String() + "`"
	}
	return "none"
}

// allowed says what a setting can be, and tries it.
func (s *settings) allowed(f reflect.StructField, index []int, path string) string {
	if form, ok := s.texts[path]; ok {
		for _, v := range form.good {
			if !s.accepts(index, v, f.Type) {
				s.t.Errorf("%T: %s: %v is refused", s.base, path, v)
			}
		}
		for _, v := range form.bad {
			if s.accepts(index, v, f.Type) {
				s.t.Errorf("%T: %s: %v is accepted", s.base, path, v)
			}
		}
		return form.words
	}
	switch t := f.Type; {
	case t.Kind() == reflect.Slice && named(t.Elem()):
		return strings.Join(names(t.Elem()), ", ")
	case t.Kind() == reflect.Bool:
		return ""
	case t.Kind() == reflect.String:
		return s.lengths(index, t)
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return s.numbers(f, index)
	case t.Kind() == reflect.Float64:
		return s.fractions(f, index)
	case named(t) && t.Kind() == reflect.Uint8:
		return strings.Join(names(t), ", ")
	}
	s.t.Errorf("%T.%s needs a form: no bound of it can be searched for", s.base, path)
	return ""
}

// lengths searches for the longest text.
func (s *settings) lengths(index []int, t reflect.Type) string {
	fits := func(n int64) bool { return s.accepts(index, strings.Repeat("a", int(n)), t) }
	if !fits(1) {
		s.t.Errorf("%T %v: one letter is refused: it needs a form of its own", s.base, index)
		return ""
	}
	if fits(1 << 16) {
		return ""
	}
	return fmt.Sprintf("1 to %s bytes", thousands(edge(1, 1<<16, fits)))
}

// numbers searches for the bounds of a number or a duration.
func (s *settings) numbers(f reflect.StructField, index []int) string {
	fits := func(n int64) bool { return s.accepts(index, n, f.Type) }
	inside := s.effective(f, index).Int()
	for _, n := range []int64{1, int64(time.Second)} {
		if inside <= 0 && fits(n) {
			inside = n
		}
	}
	if inside <= 0 || !fits(inside) {
		s.t.Errorf("%T.%s: no value is known that is accepted", s.base, f.Name)
		return ""
	}
	least := int64(1)
	if !fits(1) {
		least = edge(inside, 1, fits)
	}
	text := "from " + quantity(f, least)
	if !fits(math.MaxInt64) {
		text = quantity(f, least) + " to " + quantity(f, edge(inside, math.MaxInt64, fits))
	}
	if fits(-1) {
		text += ", or negative"
	}
	return text
}

// fractions does so with the bits of a number, which have its order.
func (s *settings) fractions(f reflect.StructField, index []int) string {
	fits := func(bits int64) bool { return s.accepts(index, math.Float64frombits(uint64(bits)), f.Type) }
	bits := func(x float64) int64 { return int64(math.Float64bits(x)) }
	inside := bits(s.effective(f, index).Float())
	least := "above 0"
	if smallest := bits(math.SmallestNonzeroFloat64); !fits(smallest) {
		least = decimal(math.Float64frombits(uint64(edge(inside, smallest, fits))))
	}
	text := least + " to " + decimal(math.Float64frombits(uint64(edge(inside, bits(math.Inf(1)), fits))))
	if s.accepts(index, -1.0, f.Type) {
		text += ", or negative"
	}
	return text
}

// edge is the last value that fits on the way from one that does to one that does not.
func edge(inside, outside int64, fits func(int64) bool) int64 {
	for {
		middle := inside + (outside-inside)/2
		if middle == inside {
			return inside
		}
		if fits(middle) {
			inside = middle
		} else {
			outside = middle
		}
	}
}

func quantity(f reflect.StructField, n int64) string {
	switch {
	case f.Type == reflect.TypeFor[time.Duration]():
		return period(time.Duration(n))
	case inBytes(f):
		for _, u := range []struct {
			size int64
			name string
		}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
			if n%u.size == 0 && n != 0 {
				return fmt.Sprintf("%d %s", n/u.size, u.name)
			}
		}
	}
	return thousands(n)
}

func period(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}, {1, "ns"}} {
		if d%u.size == 0 && (u.name != "d" || d > u.size) {
			return fmt.Sprintf("%d %s", d/u.size, u.name)
		}
	}
	panic("unreachable: nanoseconds always fit")
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func decimal(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
		return thousands(int64(x))
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

var (
	linkOfComment = regexp.MustCompile(`\[\*?([A-Za-z_][\w./]*)\]`)
	endOfSentence = regexp.MustCompile(`\.( |$)`)
)

// docsOf are the first sentences of the comments of a struct's fields.
func docsOf(t *testing.T, typ reflect.Type) map[string]string {
	dir := filepath.FromSlash("." + strings.TrimPrefix(typ.PkgPath(), reflect.TypeOf(pageOfSettings[0].base).PkgPath()))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		eachStruct(t, path, func(name string, s *ast.StructType) {
			if name != typ.String() {
				return
			}
			last := ""
			for _, f := range s.Fields.List {
				if f.Doc != nil {
					last = firstSentence(f.Doc.Text())
				}
				for _, n := range f.Names {
					docs[n.Name] = last // the next one of two with one comment has it too
				}
			}
		})
	}
	return docs
}

func firstSentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if at := endOfSentence.FindStringIndex(text); at != nil {
		text = text[:at[0]+1]
	}
	text = linkOfComment.ReplaceAllString(text, "$1")
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`).Replace(text)
}

func eachStruct(t *testing.T, path string, visit func(name string, s *ast.StructType)) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			if typ, ok := spec.(*ast.TypeSpec); ok && typ.Name.IsExported() {
				if s, ok := typ.Type.(*ast.StructType); ok {
					visit(file.Name.Name+"."+typ.Name.Name, s)
				}
			}
		}
	}
}

// configurationsOfTree are the exported structs with names of environment variables.
func configurationsOfTree(t *testing.T) (out []string) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{"examples", "cmd", "integration", "bench", "testdata", ".git"}, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		eachStruct(t, path, func(name string, s *ast.StructType) {
			for _, f := range s.Fields.List {
				if f.Tag != nil && strings.Contains(f.Tag.Value, "env") {
					out = append(out, name)
					return
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
