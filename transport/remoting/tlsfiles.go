package remoting

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"

	"github.com/liftoff-mq/liftoff/internal/filewatch"
)

// maxTLSFile bounds a file of certificates. All authorities of a system have a quarter of
// a megabyte.
const maxTLSFile = 4 << 20

// tlsState are a client's TLS settings with what is in their files. Each handshake looks at
// the files anew. They are read whole each time: a handshake costs far more, and times and
// lengths of files do not show every change.
type tlsState struct {
	log    *slog.Logger
	groups []tlsFiles

	mu      sync.Mutex  // guards what follows; no file is read meanwhile
	looks   uint64      // that have begun
	newest  uint64      // of the looks that counted: an older one is out of date
	seen    []tlsSum    // what each group held then, also if it could not be used
	current *tls.Config // complete but for the server's name, never changed
}

// tlsFiles are files that make sense together only.
type tlsFiles struct {
	names []string // of the settings
	paths []string
	// use puts what is in the files into a configuration.
	use func(cfg *tls.Config, data [][]byte) error
}

type tlsSum [sha256.Size]byte

// tlsContent is what was found in the files of a group.
type tlsContent struct {
	data [][]byte
	err  error
	sum  tlsSum
}

// tlsChange is a group whose content has changed; err says why it cannot be used.
type tlsChange struct {
	paths []string
	err   error
}

// newTLSState reads the files; nil without TLS.
func newTLSState(t *TLS, log *slog.Logger) (*tlsState, error) {
	if err := t.check(); err != nil || !t.Enabled {
		return nil, err
	}
	base := &tls.Config{}
	if t.Config != nil {
		base = t.Config.Clone()
	}
	base.MinVersion = max(base.MinVersion, tls.VersionTLS12)
	base.InsecureSkipVerify = base.InsecureSkipVerify || t.InsecureSkipVerify
	if t.ServerName != "" {
		base.ServerName = t.ServerName
	}
	s := &tlsState{log: log, current: base}
	if t.CAFile != "" {
		s.groups = append(s.groups, tlsFiles{names: []string{"TLS.CAFile"}, paths: []string{t.CAFile}, use: useCA})
	}
	if t.CertFile != "" {
		s.groups = append(s.groups, tlsFiles{names: []string{"TLS.CertFile", "TLS.KeyFile"}, paths: []string{t.CertFile, t.KeyFile}, use: useCertificate})
	}
	s.seen = make([]tlsSum, len(s.groups))
	var errs []error
	for _, change := range s.apply(s.read()) {
		errs = append(errs, change.err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// config is the configuration of a handshake with the server at addr.
func (s *tlsState) config(addr string) *tls.Config {
	cfg := s.fresh()
	if cfg.ServerName != "" {
		return cfg
	}
	cfg = cfg.Clone()
	cfg.ServerName = addr
	if host, _, err := net.SplitHostPort(addr); err == nil {
		cfg.ServerName = host
	}
	cfg.ServerName, _, _ = strings.Cut(cfg.ServerName, "%") // certificates know no zones
	return cfg
}

// fresh looks at the files. What has changed and can be used is used from now on.
func (s *tlsState) fresh() *tls.Config {
	s.mu.Lock()
	s.looks++
	look := s.looks
	s.mu.Unlock()

	found := s.read()

	s.mu.Lock()
	var changes []tlsChange
	if look > s.newest {
		s.newest = look
		changes = s.apply(found)
	}
	cfg := s.current
	s.mu.Unlock()
	for _, c := range changes {
		if c.err != nil {
			s.log.Warn("TLS files have changed and cannot be used; what they held before stays in use", "files", c.paths, "err", c.err)
		} else {
			s.log.Info("TLS files have changed and are in use", "files", c.paths)
		}
	}
	return cfg
}

// read reads all files.
func (s *tlsState) read() []tlsContent {
	found := make([]tlsContent, len(s.groups))
	for i, g := range s.groups {
		found[i] = g.read()
	}
	return found
}

func (g *tlsFiles) read() (c tlsContent) {
	sum := sha256.New()
	for i, path := range g.paths {
		data, err := filewatch.Read(path, maxTLSFile)
		if err != nil {
			err = fmt.Errorf("%s: %w", g.names[i], err)
		}
		fmt.Fprintln(sum, len(data), err)
		sum.Write(data)
		c.data, c.err = append(c.data, data), errors.Join(c.err, err)
	}
	sum.Sum(c.sum[:0])
	return c
}

// named are the settings and their files.
func (g *tlsFiles) named() string {
	all := make([]string, len(g.names))
	for i, name := range g.names {
		all[i] = name + " " + g.paths[i]
	}
	return strings.Join(all, ", ")
}

// apply uses what was found where it is not what was seen before. It is called with s.mu held,
// or before anybody else knows s.
func (s *tlsState) apply(found []tlsContent) (changes []tlsChange) {
	for i, c := range found {
		if c.sum == s.seen[i] {
			continue
		}
		s.seen[i] = c.sum
		g := &s.groups[i]
		err := c.err
		if err == nil {
			next := s.current.Clone()
			if err = g.use(next, c.data); err == nil {
				s.current = next
			} else {
				err = fmt.Errorf("%s: %w", g.named(), err)
			}
		}
		changes = append(changes, tlsChange{g.paths, err})
	}
	return changes
}

// useCA takes the certificates of authorities. A file that ends within one is not complete.
func useCA(cfg *tls.Config, data [][]byte) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data[0]) {
		return errors.New("no certificate of an authority is in it")
	}
	if !wholePEM(data[0]) {
		return errors.New("it ends within a certificate")
	}
	cfg.RootCAs = pool
	return nil
}

// useCertificate takes a certificate and its key. The errors of package tls have no part of a
// key in them.
func useCertificate(cfg *tls.Config, data [][]byte) error {
	if !wholePEM(data[0]) {
		return errors.New("the certificate's file ends within a certificate")
	}
	pair, err := tls.X509KeyPair(data[0], data[1])
	if err != nil {
		return err
	}
	cfg.Certificates = []tls.Certificate{pair}
	return nil
}

// wholePEM reports whether no block begins that does not end.
func wholePEM(data []byte) bool {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return !bytes.Contains(data, []byte("-----BEGIN"))
		}
		data = rest
	}
}
