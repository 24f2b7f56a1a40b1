package main

import "errors"

// tlsFlags say how connections are encrypted.
type tlsFlags struct {
	Enabled    bool   `name:"tls" env:"LIFTOFF_TLS" help:"Encrypt the connections to name servers and brokers, and verify their certificates."`
	CA         string `name:"tls-ca" env:"LIFTOFF_TLS_CA" placeholder:"PATH" help:"PEM file of the authorities that have signed the servers' certificates; the system's if absent."`
	Cert       string `name:"tls-cert" env:"LIFTOFF_TLS_CERT" placeholder:"PATH" help:"PEM file of the client's certificate, for servers that want one."`
	Key        string `name:"tls-key" env:"LIFTOFF_TLS_KEY" placeholder:"PATH" help:"PEM file of its private key."`
	ServerName string `name:"tls-server-name" env:"LIFTOFF_TLS_SERVER_NAME" placeholder:"NAME" help:"Name that the servers' certificates have, if it is not the host that is dialed."`
}

// check finds what single flags do not show.
func (f *tlsFlags) check() error {
	if !f.Enabled && *f != (tlsFlags{}) {
		return errors.New("--tls-ca, --tls-cert, --tls-key or --tls-server-name without --tls: connections would be plain")
	}
	if (f.Cert == "") != (f.Key == "") {
		return errors.New("--tls-cert and --tls-key: one of them is missing")
	}
	return nil
}
