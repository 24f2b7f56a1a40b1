package conventions

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
)

// errorType names an error as the documentation lists it: the broker's code by
// its name, any other failure by its class. It is "" for an error that is neither,
// which the conventions name by its Go type.
func errorType(err error) string {
	var typed interface{ ErrorType() string }
	if errors.As(err, &typed) {
		if name := typed.ErrorType(); name != "" {
			return name
		}
	}
	switch class := core.ClassOf(err); class {
	case core.ClassNone, core.ClassUnknown:
		return ""
	case core.ClassInvalid:
		return "invalid_message"
	default:
		return strings.ReplaceAll(class.String(), "-", "_")
	}
}

func splitAddr(addr string) (host string, port int, ok bool) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, int(n), err == nil
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
