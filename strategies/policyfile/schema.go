package policyfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/confjson"
)

// shape is a part of a JSON Schema.
type shape map[string]any

// variable is the pattern of a value that has a variable in it, which may become anything.
const variable = `\$\{`

// pluginName is the pattern of the names that programs register.
const pluginName = `^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$`

// The shapes of single values.
var (
	shapeText     = shape{"type": "string"}
	shapeBool     = orVariable(shape{"type": "boolean"})
	shapeInt      = shape{"type": "integer"}
	shapeFloat    = shape{"type": "number"}
	shapeDuration = shape{"$ref": "#/$defs/duration"}
	shapeSize     = shape{"$ref": "#/$defs/size"}
)

func orVariable(s shape) shape {
	return shape{"anyOf": []shape{s, {"type": "string", "pattern": variable}}}
}

// between bounds a number.
func between[T int | float64](s shape, least, most T) shape {
	out := shape{"minimum": least}
	for k, v := range s {
		out[k] = v
	}
	if float64(most) < math.MaxInt32 {
		out["maximum"] = most
	}
	return orVariable(out)
}

func oneOf(words []string) shape { return orVariable(shape{"enum": words}) }

func listOf(s shape) shape { return shape{"type": "array", "items": s} }

// named is a part of a kind.
func named(kind string) shape {
	word, _, _ := strings.Cut(kind, " ")
	return shape{"$ref": "#/$defs/" + word}
}

// shapeOf is the shape of a member of a configuration.
func shapeOf(m confjson.Member) shape {
	switch m.Sort {
	case confjson.Duration:
		return shapeDuration
	case confjson.Durations:
		return listOf(shapeDuration)
	case confjson.Bool:
		return shapeBool
	case confjson.Whole:
		return orVariable(shapeInt)
	case confjson.Number:
		return orVariable(shapeFloat)
	case confjson.Text:
		return shapeText
	case confjson.Texts:
		return listOf(shapeText)
	case confjson.Word:
		return oneOf(m.Words)
	case confjson.Words:
		return listOf(oneOf(m.Words))
	case confjson.Numbers:
		return shape{"type": "object", "additionalProperties": orVariable(shapeInt)}
	case confjson.Object:
		properties := shape{}
		for _, below := range m.Below {
			properties[below.Name] = shapeOf(below)
		}
		return object(properties)
	}
	return shape{}
}

// object has the properties and no others.
func object(properties shape) shape {
	return shape{"type": "object", "properties": properties, "additionalProperties": false}
}

// shape is what the options say of themselves once they have been asked for.
func (o *Options) shape() shape {
	properties := shape{}
	for _, a := range o.asked {
		s := a.shape
		if below, ok := s["$below"].(*Options); ok {
			s = below.shape()
		}
		properties[a.name] = s
	}
	out := object(properties)
	out["type"] = []string{"object", "null"}
	return out
}

// Schema is the JSON Schema (draft 2020-12) of the file, for editors and for checks where there is
// no Liftoff. It has the parts of Liftoff and those that the options register; other names with a
// dot may have any options. It does not know what needs more than one place of the file, such as
// whether a policy that is named is there, nor the bounds of times and sizes.
func Schema(opts ...Option) (string, error) {
	c := newConfig(opts)
	if err := errors.Join(c.errs...); err != nil {
		return "", fmt.Errorf("policyfile: %w", err)
	}
	b := &builder{mistakes: &mistakes{}, config: &c, parts: map[string]builtPart{}, made: map[string]*policy{}}
	ask := func(with func(o *Options)) shape {
		o := b.options(&node{}, "")
		with(o)
		return o.shape()
	}
	policy := ask(func(o *Options) {
		o.ask("extends", shapeText)
		b.fill(&policy{}, o)
	})
	packing := b.options(&node{}, "")
	packing.packing(new(packingOptions))
	r := &c.registry
	rules := b.options(&node{}, "")
	_, _ = buildRules(rules)
	defs := shape{
		"duration": shape{"type": "string", "pattern": `^(([0-9]+(\.[0-9]+)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$|^0$|` + variable, "examples": []string{"500ms", "1.5s"}},
		"size":     shape{"type": "string", "pattern": `^[0-9]+(B|KiB|MiB|GiB)$|` + variable, "examples": []string{"4MiB"}},
		"policy":   policy,
		"rules":    rules.shape(),
		"targets":  ask(func(o *Options) { b.target(o) }),
		"pattern":  shape{"type": "object", "properties": shape{"match": shapeText, "policy": shapeText}, "additionalProperties": false, "required": []string{"match", "policy"}},
		"compression": shape{"anyOf": []shape{
			{"const": off}, named("codec"), {"type": "object", "properties": packing.shape()["properties"], "additionalProperties": false, "required": []string{"codec"}},
		}},
		"selector": kindShape(b, r.selectors),
		"retry":    kindShape(b, r.retries),
		"back-off": kindShape(b, r.backoffs),
		"health":   kindShape(b, r.healths),
		"budget":   kindShape(b, r.budgets),
		"codec":    kindShape(b, r.compressors),
		"limits":   manyShape(b, r.limits),
		"steps":    manyShape(b, r.steps),
	}
	root := object(shape{
		"version":  shape{"const": Version},
		"policies": policiesShape,
		"targets":  named("targets"),
	})
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Send policies of Liftoff"
	root["required"] = []string{"version", "policies"}
	root["$defs"] = defs
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(root)
	return out.String(), err
}

// policiesShape is the shape of all policies.
var policiesShape = shape{
	"type":                 "object",
	"propertyNames":        shape{"pattern": `^[A-Za-z0-9._-]+$`, "maxLength": maxName},
	"additionalProperties": shape{"anyOf": []shape{named("policy"), {"type": "null"}}},
}

// kindShape is a part by its name, alone or with its options below it.
func kindShape[T any](b *builder, known map[string]build[T]) shape {
	many := manyShape(b, known)
	many["minProperties"], many["maxProperties"] = 1, 1
	var names []string
	for name := range many["properties"].(shape) {
		names = append(names, name)
	}
	slices.Sort(names)
	return shape{"anyOf": []shape{{"enum": names}, {"type": "string", "pattern": pluginName + "|" + variable}, many}}
}

// manyShape is parts by their names.
func manyShape[T any](b *builder, known map[string]build[T]) shape {
	properties := shape{}
	for name, made := range known {
		o := b.options(&node{}, name)
		_, _ = call(made, o) // what it makes of nothing does not matter
		properties[name] = o.shape()
	}
	out := object(properties)
	out["patternProperties"] = shape{pluginName: shape{}}
	return out
}
