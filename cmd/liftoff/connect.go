package main

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// connectFlags say how a cluster is reached. Every command that talks to one has them.
type connectFlags struct {
	NameServers nameServerFlags `embed:""`
	Access      accessFlags     `embed:""`
	TLS         tlsFlags        `embed:""`
	Network     networkFlags    `embed:""`
	Tenant      tenantFlags     `embed:""`
}

// check finds what single flags do not show.
func (f *connectFlags) check() error { return errors.Join(f.NameServers.check(), f.TLS.check()) }

// client is the client that the flags say.
func (f *connectFlags) client(log *slog.Logger) (*remoting.Client, error) {
	settings := remoting.Config{TLS: remoting.TLS{
		Enabled: f.TLS.Enabled, CAFile: f.TLS.CA, CertFile: f.TLS.Cert, KeyFile: f.TLS.Key, ServerName: f.TLS.ServerName,
	}}
	f.NameServers.in(&settings)
	if err := f.Access.sign(&settings, log); err != nil {
		return nil, err
	}
	f.Network.set(&settings)
	f.Tenant.set(&settings)
	client, err := remoting.NewClient(settings)
	if err != nil {
		flags := f.NameServers.flags()
		if named := f.Network.named(); named != "" {
			flags += ", " + named
		}
		if named := f.Tenant.named(); named != "" {
			flags += ", " + named
		}
		if f.TLS.Enabled {
			flags += " or a flag of --tls"
		}
		return nil, errors.New(wrongFlags(err, flags))
	}
	return client, nil
}

// flagsOfSettings are the beginnings of what a client says about its settings.
var flagsOfSettings = []struct{ text, flag string }{
	{"name server ", "--namesrv"},
	{"Discovery.Endpoint", "--namesrv-endpoint"},
	{"Discovery.SRV", "--namesrv-srv"},
	{"address ", "--address"},
	{"SOCKS proxy ", "--socks"},
	{"allowed broker ", "--allow-broker"},
	{"the list of allowed brokers ", "--allow-broker"},
	{"NamespaceV2 ", "--namespace-v2"},
	{"UnitName ", "--unit-name"},
	{"TLS.CAFile", "--tls-ca"},
	{"TLS.CertFile", "--tls-cert"},
	{"TLS.KeyFile", "--tls-key"},
}

// wrongFlags says what is wrong with a client's settings, a mistake after the other, each with its
// flag. Given are the flags that it may be where that is not known.
func wrongFlags(err error, given string) string {
	var all []string
	for line := range strings.Lines(strings.TrimPrefix(err.Error(), "remoting client: ")) {
		line = strings.TrimSuffix(line, "\n")
		flag := given
		for _, f := range flagsOfSettings {
			if strings.HasPrefix(line, f.text) {
				flag = f.flag
				break
			}
		}
		all = append(all, flag+": "+line)
	}
	return strings.Join(all, "; ")
}

// connectHelp is what the long helps of these commands have in common.
const connectHelp = `For a cluster with access control the keys are best in a file, --credentials FILE, which has a line for each of accessKey=, secretKey= and, for temporary keys, securityToken=. Keys can also be given by environment variables. On the command line every user of the machine can see them.

Errors about TLS name the settings of the library: TLS.Enabled is --tls here, TLS.CAFile --tls-ca, TLS.CertFile --tls-cert, TLS.KeyFile --tls-key and TLS.ServerName --tls-server-name.`
