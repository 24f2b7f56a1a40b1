// Package enum gives enums their text forms, so that they read well in logs, JSON, YAML and
// flags. An enum is a uint8 that counts from 0; its text is the name that String gives.
package enum

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// Name is String of an enum: the name of value i, or "unknown(i)". A value whose name is empty
// has none.
func Name(names []string, i int) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return "unknown(" + strconv.Itoa(i) + ")"
}

// Marshal is MarshalText of an enum. What says in errors what the enum is about.
func Marshal(what string, names []string, i int) ([]byte, error) {
	if i >= len(names) || names[i] == "" {
		return nil, fmt.Errorf("rocketmq: %s %d has no name", what, i)
	}
	return []byte(names[i]), nil
}

// Unmarshal is UnmarshalText of an enum. An unknown name is an error that lists the known ones.
func Unmarshal[T ~uint8](what string, names []string, text []byte, v *T) error {
	for i, name := range names {
		if name != "" && name == string(text) {
			*v = T(i)
			return nil
		}
	}
	known := make([]string, 0, len(names))
	for _, name := range names {
		if name != "" {
			known = append(known, name)
		}
	}
	return fmt.Errorf("rocketmq: %s %s is not known; there are %s", what, words.Quote(string(text)), strings.Join(known, ", "))
}
