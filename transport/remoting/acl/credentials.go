package acl

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/liftoff-mq/liftoff/core"
)

// Credentials are those of one user of a cluster.
type Credentials struct {
	// AccessKey is the user's name. It goes with each request as it is.
	AccessKey string
	// SecretKey makes the signatures. It never leaves the program.
	SecretKey Secret
	// SecurityToken goes with each request where temporary credentials have one. None by
	// default.
	SecurityToken Secret
}

// maxText bounds each text of credentials, in bytes. Tokens have some 2,000.
const maxText = 16 << 10

// Validate reports everything that is wrong with the credentials and shows no secret. Both keys
// have to be there. No text may have white space, control characters or more than 16 KiB.
func (c Credentials) Validate() error {
	return errors.Join(
		validText("access key", c.AccessKey, true),
		validText("secret key", c.SecretKey.Reveal(), true),
		validText("security token", c.SecurityToken.Reveal(), false),
	)
}

// validText says nothing of the text itself, which may be a secret at the wrong place.
func validText(what, text string, required bool) error {
	switch {
	case text == "" && required:
		return fmt.Errorf("the %s is missing", what)
	case len(text) > maxText:
		return fmt.Errorf("the %s has %d bytes: want %d at most", what, len(text), maxText)
	case !utf8.ValidString(text):
		return fmt.Errorf("the %s is not UTF-8", what)
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return fmt.Errorf("the %s has white space or control characters", what)
	}
	return nil
}

func (c *Credentials) equal(o *Credentials) bool {
	return c.AccessKey == o.AccessKey && c.SecretKey.Equal(o.SecretKey) && c.SecurityToken.Equal(o.SecurityToken)
}

// Provider knows the credentials that are to be used now.
//
// Credentials is called for each request, by several goroutines at once, on the goroutine that
// sends, so it must not block. It should return what it has at hand and renew that beside the
// sends. An error or a panic fails the request, with class auth, before anything of it is sent.
// The error is shown, so it must not contain a secret.
//
// A provider that is a [core.Service] is started and shut down with the client, one that is a
// [core.Describer] describes itself in the client's description.
type Provider interface {
	Credentials() (Credentials, error)
}

// ProviderFunc is a function as a [Provider]. It may return other credentials at each call.
type ProviderFunc func() (Credentials, error)

// Credentials calls the function.
func (f ProviderFunc) Credentials() (Credentials, error) { return f() }

// Describe implements [core.Describer].
func (ProviderFunc) Describe() core.Description {
	return core.Description{Summary: "credentials of a function"}
}

// Static returns a provider of credentials that never change. Its errors are those of
// [Credentials.Validate].
func Static(c Credentials) (Provider, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("acl: %w", err)
	}
	return &static{c, "fixed credentials"}, nil
}

// Environment returns a provider of the credentials that are in the environment variables
// ACCESS_KEY, SECRET_KEY and SECURITY_TOKEN with prefix in front, such as "ROCKETMQ_". They are
// read once, because a process cannot see three variables change together: for credentials that
// change there is [File].
func Environment(prefix string) (Provider, error) {
	c := Credentials{
		AccessKey:     os.Getenv(prefix + "ACCESS_KEY"),
		SecretKey:     NewSecret(os.Getenv(prefix + "SECRET_KEY")),
		SecurityToken: NewSecret(os.Getenv(prefix + "SECURITY_TOKEN")),
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("acl: environment variables %sACCESS_KEY, %[1]sSECRET_KEY, %[1]sSECURITY_TOKEN: %w", prefix, err)
	}
	return &static{c, "credentials of environment variables " + prefix + "..."}, nil
}

type static struct {
	c       Credentials
	summary string
}

func (s *static) Credentials() (Credentials, error) { return s.c, nil }

// Describe implements [core.Describer].
func (s *static) Describe() core.Description {
	return core.Description{Summary: s.summary, Settings: []core.Setting{{Name: "access key", Value: s.c.AccessKey}}}
}
