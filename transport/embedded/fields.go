package embedded

import (
	"strconv"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// fieldReader reads the header fields of requests and keeps the first error. Of a binary header an
// empty value counts as missing, as in Java.
type fieldReader struct {
	ext    wire.Fields
	binary bool
	err    error
}

func readFields(cmd *wire.Command) fieldReader {
	return fieldReader{ext: cmd.Ext, binary: cmd.Serialization == wire.RocketMQ}
}

func (f *fieldReader) fail(name, reason string) {
	if f.err == nil {
		f.err = &wire.FieldError{Field: name, Reason: reason}
	}
}

func (f *fieldReader) text(name string) string {
	v, given := f.ext.Lookup(name)
	if !given || v == "" && f.binary {
		f.fail(name, "missing")
	}
	return v
}

func (f *fieldReader) number(name string, bits int) int64 {
	v := f.text(name)
	n, err := strconv.ParseInt(v, 10, bits)
	if err != nil {
		f.fail(name, "not an integer of "+strconv.Itoa(bits)+" bits")
	}
	return n
}

func (f *fieldReader) int(name string) int     { return int(f.number(name, 32)) }
func (f *fieldReader) int64(name string) int64 { return f.number(name, 64) }

// optional is int64 for a field that may be missing.
func (f *fieldReader) optional(name string, missing int64) int64 {
	if f.ext.Get(name) == "" {
		return missing
	}
	return f.number(name, 64)
}

func textOf(n int64) string { return strconv.FormatInt(n, 10) }
