// Package absent finds parts that are not there: strategies, hooks, options. Every place that
// takes one refuses a nil one by name, instead of meeting it in the middle of a send.
package absent

import "reflect"

// Is reports whether v is nil, or an interface that holds a nil pointer, function, map,
// slice or channel.
func Is(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return r.IsNil()
	}
	return false
}
