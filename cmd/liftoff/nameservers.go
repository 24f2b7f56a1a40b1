package main

import (
	"errors"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// nameServerFlags say where the name servers are.
type nameServerFlags struct {
	Namesrv  string   `env:"NAMESRV_ADDR" placeholder:"ADDRS" help:"Name servers, host:port, separated by semicolons. A DNS name stands for all of its addresses. The variable counts only if neither of the next two flags is given."`
	Endpoint string   `name:"namesrv-endpoint" env:"LIFTOFF_NAMESRV_ENDPOINT" placeholder:"URL" help:"HTTP server that answers with the name servers; a host alone stands for http://HOST:8080/rocketmq/nsaddr."`
	SRV      []string `name:"namesrv-srv" env:"LIFTOFF_NAMESRV_SRV" placeholder:"NAME" help:"Name with DNS records of type SRV, whose targets are name servers. Repeatable."`
}

// AfterApply drops name servers that are from the environment where a source is given: the variable
// is the last resort, as it is in the library.
func (f *nameServerFlags) AfterApply(parsed *kong.Context) error {
	written := slices.ContainsFunc(parsed.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag.Name == "namesrv" })
	if !written && (f.Endpoint != "" || len(f.SRV) > 0) {
		f.Namesrv = ""
	}
	return nil
}

// check finds what single flags do not show.
func (f *nameServerFlags) check() error {
	if f.Namesrv == "" && f.Endpoint == "" && len(f.SRV) == 0 {
		return errors.New("no name server is given: --namesrv, --namesrv-endpoint or --namesrv-srv is missing")
	}
	return nil
}

// in puts the flags into a client's settings.
func (f *nameServerFlags) in(settings *remoting.Config) {
	if f.Namesrv != "" {
		settings.NameServers = []string{f.Namesrv}
	}
	settings.Discovery.Endpoint, settings.Discovery.SRV = f.Endpoint, f.SRV
}

// flags names those that are given, for an error about such settings.
func (f *nameServerFlags) flags() string {
	switch {
	case f.Endpoint == "" && len(f.SRV) == 0:
		return "--namesrv"
	case f.Namesrv == "":
		return "--namesrv-endpoint or --namesrv-srv"
	}
	return "--namesrv, --namesrv-endpoint or --namesrv-srv"
}
