// Package words puts numbers into words, and makes strangers' words fit to be shown, for
// descriptions, errors and logs.
package words

import (
	"strconv"
	"strings"
	"time"
)

// Size gives a number of bytes in the largest binary unit that shows it exactly: "4 MiB",
// "32255 bytes".
func Size[T int | int64](bytes T) string {
	for _, unit := range [...]struct {
		name  string
		bytes T
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if bytes >= unit.bytes && bytes%unit.bytes == 0 {
			return strconv.FormatInt(int64(bytes/unit.bytes), 10) + " " + unit.name
		}
	}
	if bytes == 1 {
		return "1 byte"
	}
	return strconv.FormatInt(int64(bytes), 10) + " bytes"
}

// Time gives a duration without the units that are zero at its end: "72h", "1m30s", "500ms".
func Time(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
