package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// settingOf says which setting of docs/configuration.md a flag is.
var settingOf = map[string]string{
	"group": "Group", "timeout": "Timeout", "namesrv": "NameServers",
	"namesrv-endpoint": "Client.Discovery.Endpoint", "namesrv-srv": "Client.Discovery.SRV",
	"access-key": "ACL.AccessKey", "secret-key": "ACL.SecretKey", "security-token": "ACL.SecurityToken", "credentials": "ACL.CredentialsFile",
	"tls": "Client.TLS.Enabled", "tls-ca": "Client.TLS.CAFile", "tls-cert": "Client.TLS.CertFile", "tls-key": "Client.TLS.KeyFile",
	"tls-server-name": "Client.TLS.ServerName",
	"address":         "Client.Addresses", "socks": "Client.SOCKS", "vip-channel": "Client.VIPChannel", "allow-broker": "Client.AllowedBrokers",
	"namespace-v2": "Client.NamespaceV2", "unit-name": "Client.UnitName",
}

// The page of settings has every flag of liftoff send that is one, with its variable and default.
func TestPageOfFlags(t *testing.T) {
	const file = "../../docs/configuration.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c commands
	parser, err := kong.New(&c, kong.Vars{"version": "v"})
	if err != nil {
		t.Fatal(err)
	}
	table := "| flag | environment | default | setting |\n| --- | --- | --- | --- |\n"
	found := 0
	for _, node := range parser.Model.Children {
		if node.Name != "send" {
			continue
		}
		for _, f := range node.Flags {
			setting := settingOf[f.Name]
			if setting == "" {
				if len(f.Envs) > 0 {
					t.Errorf("--%s has a variable and no setting", f.Name)
				}
				continue
			}
			found++
			if !strings.Contains(string(page), "| `"+setting+"` |") {
				t.Errorf("--%s: the page has no setting %s", f.Name, setting)
			}
			variable, byDefault := "none", "none"
			if len(f.Envs) > 0 {
				variable = "`" + f.Envs[0] + "`"
			}
			if f.Default != "" {
				byDefault = "`" + f.Default + "`"
			}
			table += fmt.Sprintf("| `--%s` | %s | %s | `%s` |\n", f.Name, variable, byDefault, setting)
		}
	}
	if found != len(settingOf) {
		t.Errorf("%d flags of %d were found", found, len(settingOf))
	}
	want := regexp.MustCompile(`(?s)<!-- flags -->\n.*<!-- end of flags -->`).
		ReplaceAllLiteralString(string(page), "<!-- flags -->\n"+table+"<!-- end of flags -->")
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(page) {
		t.Errorf("%s has other flags; -update writes them anew:\n%s", file, table)
	}
}
