package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Here the settings of a test, which are written in YAML, get the forms of other libraries.

func decodeYAML(text string, into any) error {
	dec := yaml.NewDecoder(strings.NewReader(text))
	dec.KnownFields(true)
	return dec.Decode(into)
}

func decodeJSON(text string, into any) error { return json.Unmarshal([]byte(text), into) }

// tree is what the text says, without types of ours.
func tree(text string) map[string]any {
	var out map[string]any
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		panic(err)
	}
	return out
}

func yamlToJSON(text string) string {
	out, err := json.Marshal(tree(text))
	if err != nil {
		panic(err)
	}
	return string(out)
}

func yamlToEnv(text string) map[string]string {
	vars := map[string]string{}
	flatten(vars, "", tree(text))
	return vars
}

// flatten gives NAME_SERVERS for nameServers, and CLIENT_ in front of what is in client.
func flatten(vars map[string]string, prefix string, t map[string]any) {
	for name, value := range t {
		var key strings.Builder
		for _, r := range name {
			if 'A' <= r && r <= 'Z' {
				key.WriteByte('_')
			}
			key.WriteString(strings.ToUpper(string(r)))
		}
		switch v := value.(type) {
		case map[string]any:
			flatten(vars, prefix+key.String()+"_", v)
		case []any:
			var items []string
			for _, item := range v {
				items = append(items, fmt.Sprint(item))
			}
			vars[prefix+key.String()] = strings.Join(items, ",")
		default:
			vars[prefix+key.String()] = fmt.Sprint(v)
		}
	}
}
