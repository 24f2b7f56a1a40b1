package integration

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/metrics"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// producerGroup is the group of the producers of a transcript.
const producerGroup = "integration-said"

// transcript is everything that producers have said: logs for debugging, errors, spans, metrics, snapshots,
// descriptions, configurations, and the dumps of crashes.
type transcript struct {
	mu      sync.Mutex
	text    bytes.Buffer
	secrets map[string]string // all forms of them, and what they are
}

// newTranscript is judged when the test ends, after all producers: there must be no secret and no signature in it, and the
// words must be there, lest nothing was noted.
func newTranscript(t *testing.T, words ...string) *transcript {
	s := &transcript{secrets: map[string]string{}}
	t.Cleanup(func() { s.check(t, words...) })
	return s
}

// secret forbids a secret in all the forms in which fmt or an encoder would show it.
func (s *transcript) secret(what, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, form := range []string{
		value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), fmt.Sprintf("% x", value), fmt.Sprintf("%d", []byte(value)),
		strings.Trim(fmt.Sprintf("%#v", []byte(value)), "[]byte{}"), base64.StdEncoding.EncodeToString([]byte(value)),
	} {
		s.secrets[form] = what
	}
}

// privateKey forbids a private key, as its file has it and by its number.
func (s *transcript) privateKey(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && line != "" {
			s.secret("a line of the private key", line)
		}
	}
	block, _ := pem.Decode(text)
	s.secret("the private key", string(block.Bytes))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	number, err := key.(*ecdsa.PrivateKey).Bytes()
	must(t, err)
	s.secret("the private key's number", string(number))
	s.secret("the private key's number", new(big.Int).SetBytes(number).String())
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// error notes an error in all its forms, and returns it.
func (s *transcript) error(err error) error {
	fmt.Fprintf(s, "%v %+v %#v\n", err, err, err)
	return err
}

// value notes a value in all the forms that it has.
func (s *transcript) value(t *testing.T, v any) {
	t.Helper()
	inJSON, err := json.Marshal(v)
	if err != nil {
		t.Errorf("%T as JSON: %v", v, err)
	}
	inYAML, err := yaml.Marshal(v)
	if err != nil {
		t.Errorf("%T as YAML: %v", v, err)
	}
	fmt.Fprintf(s, "%s\n%s\n%v\n%+v\n%#v\n", inJSON, inYAML, v, v, v)
}

// producer starts one that says all it can, and is asked for more when the test ends.
func (s *transcript) producer(t *testing.T, nameServer string, cfg liftoff.Config, options ...liftoff.Option) (*core.Producer, *breaker.Breakers) {
	t.Helper()
	b, err := breaker.New(breaker.Config{})
	must(t, err)
	spans := tracetest.NewInMemoryExporter()
	traces, err := tracing.New(tracing.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))), tracing.WithAttemptSpans(true),
		tracing.WithMessageKeys(), tracing.WithBodySize())
	must(t, err)
	reader := sdkmetric.NewManualReader()
	counts, err := metrics.New(metrics.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	must(t, err)
	if cfg.Group == "" {
		cfg.Group = producerGroup
	}
	cfg.NameServers = []string{nameServer}
	cfg.Logger = slog.New(slog.NewJSONHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p, err := liftoff.New(cfg, append(options, liftoff.WithBreaker(b), liftoff.WithHooks(traces, counts))...)
	startProducer(t, p, err)
	t.Cleanup(func() {
		var measured metricdata.ResourceMetrics
		if err := reader.Collect(context.WithoutCancel(t.Context()), &measured); err != nil {
			t.Error(err)
		}
		ended := spans.GetSpans()
		if len(ended) == 0 || len(measured.ScopeMetrics) == 0 {
			t.Errorf("%d spans, %d groups of metrics", len(ended), len(measured.ScopeMetrics))
		}
		for _, v := range []any{ended[:min(len(ended), 200)], measured} {
			text, err := json.Marshal(v)
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(s, "%s\n%+v\n", text, v)
		}
		cfg.Logger = nil
		s.value(t, p.Snapshot())
		s.value(t, cfg)
		fmt.Fprintf(s, "%v\n%+v\n%#v\n", p.Pipeline(), p.Pipeline(), p.Pipeline())
	})
	return p, b
}

// signature is what every HMAC-SHA1 looks like in base64.
var signature = regexp.MustCompile(`\b[A-Za-z0-9+/]{27}=(\W|$)`)

func (s *transcript) check(t *testing.T, words ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.text.String()
	for form, what := range s.secrets {
		if strings.Contains(text, form) {
			t.Errorf("it is shown: %s", what)
		}
	}
	if s := signature.FindString(text); s != "" {
		t.Errorf("a signature is shown: %s", s)
	}
	for _, want := range words {
		if !strings.Contains(text, want) {
			t.Errorf("nothing says %q", want)
		}
	}
	t.Logf("%d bytes said, %d forms of secrets", len(text), len(s.secrets))
}
