// Package words puts the numbers of hooks into words, for their descriptions and errors.
package words

import "strconv"

// Size gives a number of bytes in the largest binary unit that shows it exactly: "4 MiB",
// "32255 bytes".
func Size(bytes int) string {
	const kib, mib = 1 << 10, 1 << 20
	switch {
	case bytes > 0 && bytes%mib == 0:
		return strconv.Itoa(bytes/mib) + " MiB"
	case bytes > 0 && bytes%kib == 0:
		return strconv.Itoa(bytes/kib) + " KiB"
	case bytes == 1:
		return "1 byte"
	default:
		return strconv.Itoa(bytes) + " bytes"
	}
}
