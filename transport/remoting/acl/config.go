package acl

import (
	"errors"
	"log/slog"

	"github.com/liftoff-mq/liftoff/internal/confjson"
)

// Config says which credentials a client has: keys, or a file of them. The zero value means
// that there is no access control. It can be decoded from YAML, JSON and environment variables;
// the tags have the names. The secrets in it can be read, but are written as "[hidden]".
type Config struct {
	// AccessKey is the user's name.
	AccessKey string `json:"accessKey" yaml:"accessKey" env:"ACCESS_KEY"`
	// SecretKey belongs to AccessKey.
	SecretKey Secret `json:"secretKey" yaml:"secretKey" env:"SECRET_KEY"`
	// SecurityToken belongs to temporary keys. None by default.
	SecurityToken Secret `json:"securityToken" yaml:"securityToken" env:"SECURITY_TOKEN"`
	// CredentialsFile is the path of a file that has these three instead, and is watched for
	// changes: see [File].
	CredentialsFile string `json:"credentialsFile" yaml:"credentialsFile" env:"CREDENTIALS_FILE"`
}

// UnmarshalJSON refuses unknown members.
func (c *Config) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is not zero, the secrets hidden.
func (c Config) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// IsZero reports whether no credentials are given.
func (c Config) IsZero() bool {
	return c.AccessKey == "" && c.SecretKey.IsZero() && c.SecurityToken.IsZero() && c.CredentialsFile == ""
}

// Provider makes the provider that c describes; nil for the zero value. A file is read, and its
// changes are logged to logger. Keys beside a file are an error.
func (c Config) Provider(logger *slog.Logger) (Provider, error) {
	keys := Credentials{AccessKey: c.AccessKey, SecretKey: c.SecretKey, SecurityToken: c.SecurityToken}
	switch {
	case c.IsZero():
		return nil, nil
	case c.CredentialsFile == "":
		return Static(keys)
	case !keys.equal(&Credentials{}):
		return nil, errors.New("acl: both keys and a file of credentials are given: give one of them")
	}
	f, err := NewFile(c.CredentialsFile, WithLogger(logger))
	if err != nil {
		return nil, err // not f, which would be a provider that is not nil
	}
	return f, nil
}

// Signer makes a signer with the provider that c describes. The zero value is an error.
func (c Config) Signer(logger *slog.Logger) (*Signer, error) {
	p, err := c.Provider(logger)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, errors.New("acl: no credentials are given")
	}
	return NewSigner(p)
}
