// Package absent finds strategies that are not there. What combines strategies must not
// hide that one of them is nil: it becomes nil itself, and a producer refuses it by name.
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
