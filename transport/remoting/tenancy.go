package remoting

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// What a client says of itself in its requests: whose it is, where it stands, how it is called.

// The header fields that all requests have (Java: MixAll and the RPC hooks that its client
// registers, in this order).
const (
	fieldNamespaced = "nsd"
	fieldNamespace  = "ns"
	fieldStream     = "ReqT"
	fieldZoneName   = "__ZONE_NAME"
	fieldZoneMode   = "__ZONE_MODE"

	streamCode = "0"      // Java: RequestType.STREAM.getCode
	streamName = "STREAM" // and its name
)

// The environment variables that [ZoneFromEnvironment] reads (Java: MixAll).
const (
	ZoneEnv     = "ROCKETMQ_ZONE"
	ZoneModeEnv = "ROCKETMQ_ZONE_MODE"
)

// Zone says where a client stands. Name servers from 5.0 on know the zones of their brokers,
// which are the ROCKETMQ_ZONE of the brokers' own environment. The zero value says nothing.
type Zone struct {
	// Name is the zone's name, 1 to 255 printable ASCII characters without blanks. Name servers
	// compare it without regard to case.
	Name string `json:"name" yaml:"name" env:"NAME"`
	// Mode asks name servers for the brokers of this zone only, and for brokers of which no
	// master lives. Without it, the default, the name changes nothing.
	Mode bool `json:"mode" yaml:"mode" env:"MODE"`
}

// ZoneFromEnvironment is the zone that Java's client would take from the environment: its
// name is ROCKETMQ_ZONE and its mode is on if ROCKETMQ_ZONE_MODE is true, in upper or lower
// case. It is zero if no name is set. A client reads neither variable by itself.
func ZoneFromEnvironment() Zone {
	name := strings.TrimSpace(os.Getenv(ZoneEnv))
	return Zone{Name: name, Mode: name != "" && strings.EqualFold(os.Getenv(ZoneModeEnv), "true")}
}

// sameFields are the header fields that each request has besides its own; nil without any.
// Nobody changes them.
func (c *Config) sameFields() wire.Fields {
	var f wire.Fields
	add := func(key, value string) { f = append(f, wire.Field{Key: key, Value: value}) }
	if c.NamespaceV2 != "" {
		add(fieldNamespaced, "true")
		add(fieldNamespace, c.NamespaceV2)
	}
	if c.StreamType {
		add(fieldStream, streamCode)
	}
	if c.Zone.Name != "" {
		add(fieldZoneName, c.Zone.Name)
	}
	if c.Zone.Mode {
		add(fieldZoneMode, "true")
	}
	return slices.Clip(f) // who appends gets a list of its own
}

// checkTenancy reports what is wrong with the settings of this file.
func (c *Config) checkTenancy() error {
	var errs []error
	for _, s := range []struct{ name, value string }{
		{"NamespaceV2", c.NamespaceV2},
		{"UnitName", c.UnitName},
		{"Zone.Name", c.Zone.Name},
		{"ClientID", c.ClientID},
		{"ClientIP", c.ClientIP},
		{"InstanceName", c.InstanceName},
	} {
		errs = append(errs, checkName(s.name, s.value))
	}
	if c.Zone.Mode && c.Zone.Name == "" {
		errs = append(errs, errors.New("Zone.Mode is set without Zone.Name: there is no zone to keep to"))
	}
	if c.ClientID != "" && (c.ClientIP != "" || c.InstanceName != "") {
		errs = append(errs, errors.New("ClientIP or InstanceName is set beside ClientID, which is the whole id: set one or the other"))
	}
	return errors.Join(errs...)
}

// maxName is the greatest length of a name in bytes. It keeps headers short.
const maxName = 255

// checkName holds a name to what any server, log and URL can show.
func checkName(setting, value string) error {
	if len(value) > maxName {
		return fmt.Errorf("%s has %d bytes, at most %d are allowed", setting, len(value), maxName)
	}
	for i := range len(value) {
		if value[i] <= ' ' || value[i] > '~' {
			return fmt.Errorf("%s is %q, which has other than printable ASCII characters without blanks", setting, value)
		}
	}
	return nil
}

// clientID is ClientID or what Java makes: ip@instance[@unit][@STREAM] (ClientConfig.buildMQClientId).
func (c *Config) clientID() string {
	if c.ClientID != "" {
		return c.ClientID
	}
	id, instance := c.ClientIP, c.InstanceName
	if id == "" {
		id = localAddress()
	}
	if instance == "" || instance == "DEFAULT" { // Java replaces its default as well: changeInstanceNameToPID
		instance = uniqueInstance()
	}
	id += "@" + instance
	if c.UnitName != "" {
		id += "@" + c.UnitName
	}
	if c.StreamType {
		id += "@" + streamName
	}
	return id
}

// uniqueInstance makes pid#random. Java's clients have pid#nanoTime, which two
// containers of one address can share.
func uniqueInstance() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return strconv.Itoa(os.Getpid()) + "#" + hex.EncodeToString(b[:])
}

// localAddress is the first address of this machine that is not loopback.
func localAddress() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "127.0.0.1"
	}
	return firstAddress(addrs)
}

// firstAddress is the first of IPv4, or of IPv6 where there is none, as in Java
// (NetworkUtil.getLocalAddress).
func firstAddress(addrs []net.Addr) string {
	first := ""
	for _, a := range addrs {
		switch n, ok := a.(*net.IPNet); {
		case !ok || !n.IP.IsGlobalUnicast():
		case n.IP.To4() != nil:
			return n.IP.String()
		case first == "":
			first = n.IP.String()
		}
	}
	return cmp.Or(first, "127.0.0.1")
}

// tenancy describes the settings of this file that are not the default.
func (c *Config) tenancy() []core.Setting {
	var out []core.Setting
	add := func(name, value string) { out = append(out, core.Setting{Name: name, Value: value}) }
	if c.NamespaceV2 != "" {
		add("namespace, version 2", c.NamespaceV2)
	}
	if c.UnitName != "" || c.UnitMode {
		value := c.UnitName
		if c.UnitMode {
			value = strings.TrimLeft(value+", unit mode", ", ")
		}
		add("unit", value)
	}
	if c.Zone.Name != "" {
		value := c.Zone.Name
		if c.Zone.Mode {
			value += ", brokers of this zone only"
		}
		add("zone", value)
	}
	if c.StreamType {
		add("request type", streamName)
	}
	return out
}
