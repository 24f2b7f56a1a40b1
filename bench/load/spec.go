package load

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// The ways to send.
const (
	Sync   = "sync"
	Async  = "async"
	Oneway = "oneway"
)

// Spec is what a contender has to do.
type Spec struct {
	NameServer string `arg:"nameserver"` // host:port
	Brokers    string `arg:"brokers"`    // name=host:port,... for who does not ask the name server
	Topic      string `arg:"topic"`
	Queues     int    `arg:"queues"` // on each broker
	Mode       string `arg:"mode"`
	InFlight   int    `arg:"inflight"` // callers of Sync and Oneway, sends under way of Async
	Size       int    `arg:"size"`     // of a body, in bytes
	BodyFile   string `arg:"bodyfile"` // the body, instead of Size bytes of filling
	Batch      int    `arg:"batch"`    // messages a request; 0 and 1 are single messages
	Variant    string `arg:"variant"`  // a contender's own
	WarmMS     int    `arg:"warm"`
	WindowMS   int    `arg:"window"`
	Profile    string `arg:"profile"` // kinds, see Profiles
	ProfileTo  string `arg:"profileto"`
	// Credentials is a file with lines accessKey= and secretKey=, for brokers with access control.
	Credentials string `arg:"credentials"`
	// CA is a file with the certificate of who signed the servers' certificate, for servers with TLS.
	CA string `arg:"ca"`
}

// Warm is the time before the window, Window the time that is measured.
func (s *Spec) Warm() time.Duration   { return time.Duration(s.WarmMS) * time.Millisecond }
func (s *Spec) Window() time.Duration { return time.Duration(s.WindowMS) * time.Millisecond }

// Messages is the number of messages in a request.
func (s *Spec) Messages() int { return max(s.Batch, 1) }

// Body makes the message body.
func (s *Spec) Body() ([]byte, error) {
	if s.BodyFile != "" {
		return os.ReadFile(s.BodyFile)
	}
	return []byte(strings.Repeat("x", s.Size)), nil
}

// Args is the spec as arguments for a contender.
func (s Spec) Args() []string {
	var args []string
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() {
			args = append(args, fmt.Sprintf("%s=%v", v.Type().Field(i).Tag.Get("arg"), f))
		}
	}
	return args
}

// Parse reads what Args wrote.
func Parse(args []string) (Spec, error) {
	var s Spec
	v := reflect.ValueOf(&s).Elem()
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		fields[v.Type().Field(i).Tag.Get("arg")] = v.Field(i)
	}
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		f, known := fields[key]
		if !ok || !known {
			return Spec{}, fmt.Errorf("argument %q is none of a contender's", a)
		}
		if f.Kind() == reflect.String {
			f.SetString(value)
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			return Spec{}, fmt.Errorf("argument %q: %w", a, err)
		}
		f.SetInt(int64(n))
	}
	switch s.Mode {
	case Sync, Async, Oneway:
	default:
		return Spec{}, fmt.Errorf("mode %q is none", s.Mode)
	}
	if s.InFlight < 1 || s.WindowMS < 1 || s.Topic == "" || s.Queues < 1 {
		return Spec{}, fmt.Errorf("inflight, window, topic and queues are required")
	}
	return s, nil
}
