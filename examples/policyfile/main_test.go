package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/output.txt")
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

const folder = "../../strategies/policyfile/"

// schemaOf compiles a schema.
func schemaOf(t *testing.T, text string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// published is the schema as a file.
func published(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(folder + "schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schemaOf(t, string(text))
}

// value is a file as a validator takes it: through JSON.
func value(t *testing.T, file string) (any, error) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
}

// The schema accepts every example, and so does the program.
func TestSchemaAcceptsExamples(t *testing.T) {
	examples, err := filepath.Glob("files/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(examples) < 3 {
		t.Fatalf("there are %d examples", len(examples))
	}
	schema := published(t)
	for _, file := range append(examples, "policies.yaml", folder+"starter.yaml", folder+"testdata/whole.txt") {
		v, err := value(t, file)
		if err != nil {
			t.Fatal(file, err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if _, err := policyfile.Load(file, policyfile.AcceptUnregistered()); err != nil {
			t.Error(err)
		}
	}
}

// beyond are the wrong files of which a schema cannot know that they are: what is wrong lies
// between two places, in the value of a variable, in the bounds of a time, in what a program has
// registered, or in the text before it became values.
var beyond = []string{
	"attempt-longer-than-call", "attempt-taken-over", "bad-pattern", "extends-itself", "extends-unknown", "health-two-tables", "long-prefix", "merge-key", "not-utf8",
	"pattern-as-prefix", "pattern-as-topic", "pattern-twice", "pauses", "refused-by-constructor", "require-empty", "rules-refused", "selector-fallback", "selector-zone-brokers",
	"size-too-large", "tag", "time-out-of-range", "topic-name", "two-documents", "unknown-default", "unknown-plugin", "unknown-policy", "unset-variable",
	"variable-cannot-inject", "variable-of-wrong-type", "wildcard-in-prefix", "wrapper-without-inner",
}

// Every other wrong file is refused, by the schema or because it is no YAML.
func TestSchemaRefusesWrongFiles(t *testing.T) {
	files, err := filepath.Glob(folder + "testdata/wrong/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	schema := published(t)
	refused := 0
	for _, file := range files {
		v, err := value(t, file)
		if err == nil {
			err = schema.Validate(v)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		switch known := !slices.Contains(beyond, name); {
		case err != nil && known:
			refused++
		case err == nil && known:
			t.Errorf("%s is accepted", name)
		case err != nil:
			t.Errorf("%s is refused after all: %v", name, err)
		}
	}
	if refused < 40 {
		t.Errorf("%d files are refused", refused)
	}
}

// With the program's parts the schema knows their options.
func TestSchemaOfProgram(t *testing.T) {
	text, err := policyfile.Schema(registered()...)
	if err != nil {
		t.Fatal(err)
	}
	schema := schemaOf(t, text)
	for options, want := range map[string]bool{
		`{"region": "eu"}`: true, `{"region": "eu", "spill": true}`: true, `{"region": "eu", "spill": "x"}`: false, `{"regoin": "eu"}`: false,
	} {
		var v any
		if err := json.Unmarshal([]byte(`{"version": 1, "policies": {"p": {"selector": {"acme.region": `+options+`}}}}`), &v); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); (err == nil) != want {
			t.Errorf("%s: %v", options, err)
		}
	}
}
