package wire

import "strconv"

// fieldParser reads typed header fields and keeps the first error. An empty value counts as
// missing, because that is how Java decodes it from a binary header.
type fieldParser struct {
	fields Fields
	err    error
}

func (p *fieldParser) fail(field, meaning, reason string) {
	if p.err == nil {
		p.err = &FieldError{Field: field, Meaning: meaning, Reason: reason}
	}
}

func (p *fieldParser) text(field, meaning string) string {
	v := p.fields.Get(field)
	if v == "" {
		p.fail(field, meaning, "missing")
	}
	return v
}

func (p *fieldParser) int64(field, meaning string) int64 {
	v := p.text(field, meaning)
	n, ok := parseInt(v)
	if !ok {
		p.fail(field, meaning, "not a 64-bit integer")
	}
	return n
}

func (p *fieldParser) int32(field, meaning string) int32 {
	v := p.text(field, meaning)
	n, ok := parseInt32(v)
	if !ok {
		p.fail(field, meaning, "not a 32-bit integer")
	}
	return n
}

func (p *fieldParser) optional(field, meaning string, missing int32) int32 {
	if p.fields.Get(field) == "" {
		return missing
	}
	return p.int32(field, meaning)
}

func itoa[T int | int32 | int64](n T) string { return strconv.FormatInt(int64(n), 10) }

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
