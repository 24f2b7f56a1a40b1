//go:build unix

package filewatch

import "syscall"

// nonblock makes the opening of a pipe that nobody writes to return at once.
const nonblock = syscall.O_NONBLOCK
