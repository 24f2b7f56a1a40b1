//go:build !linux

package conn

import "time"

// setUserTimeout has no effect: only Linux has TCP_USER_TIMEOUT.
func setUserTimeout(uintptr, time.Duration) error { return nil }
