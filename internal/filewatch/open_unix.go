//go:build unix

package filewatch

import "syscall"

// nonblock makes the opening of a pipe return at once, also where no process writes to it.
const nonblock = syscall.O_NONBLOCK
