package main

import "github.com/liftoff-mq/liftoff/transport/remoting"

// tenantFlags say whose the requests are.
type tenantFlags struct {
	NamespaceV2 string `name:"namespace-v2" env:"LIFTOFF_NAMESPACE_V2" placeholder:"NAME" help:"Tenant that each request names in its header, for servers that keep tenants apart by it."`
	UnitName    string `env:"LIFTOFF_UNIT_NAME" placeholder:"NAME" help:"Unit that this client belongs to; it is part of its id and of the question for name servers by HTTP."`
}

// set puts the flags into a client's settings.
func (f *tenantFlags) set(settings *remoting.Config) {
	settings.NamespaceV2, settings.UnitName = f.NamespaceV2, f.UnitName
}

// named are the flags, for errors about what they have in them; none if none was given.
func (f *tenantFlags) named() string {
	if *f == (tenantFlags{}) {
		return ""
	}
	return "--namespace-v2, --unit-name"
}
