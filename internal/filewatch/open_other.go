//go:build !unix

package filewatch

// nonblock is nothing: there is no such flag, and the look before the opening has to do.
const nonblock = 0
