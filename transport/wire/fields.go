package wire

// Field is one entry of [Fields].
type Field struct{ Key, Value string }

// Fields is an ordered list of names and values: a header's extension fields or a message's
// properties. The zero value is empty and usable. Where a peer sent a name twice the last entry
// counts, as in Java's maps.
type Fields []Field

// Get returns the value of key, or "".
func (f Fields) Get(key string) string {
	v, _ := f.Lookup(key)
	return v
}

// Lookup returns the value of key and whether there is one.
func (f Fields) Lookup(key string) (string, bool) {
	for i := len(f) - 1; i >= 0; i-- {
		if f[i].Key == key {
			return f[i].Value, true
		}
	}
	return "", false
}

// Set replaces the value of key, or appends it.
func (f *Fields) Set(key, value string) {
	for i := len(*f) - 1; i >= 0; i-- {
		if (*f)[i].Key == key {
			(*f)[i].Value = value
			return
		}
	}
	*f = append(*f, Field{Key: key, Value: value})
}
