package namespace

import (
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

const separator = "%"

// Wrap gives the name on the wire of a topic or group in a namespace:
// "ns%name", and with %RETRY% or %DLQ% kept in front, "%RETRY%ns%name". Names
// come back as they are if either argument is empty, if they are in the
// namespace already, or if they are the system's (Java: NamespaceUtil.wrapNamespace).
func Wrap(namespace, name string) string {
	if namespace == "" || name == "" || systemName(name) {
		return name
	}
	prefix, bare := cut(name)
	if inside(namespace, bare) {
		return name
	}
	return prefix + namespace + separator + bare
}

// WrapGroup is [Wrap] for a producer group, for core.Config.Group.
func WrapGroup(namespace, group string) string { return Wrap(namespace, group) }

// Unwrap takes the namespace off a name on the wire. Names outside that
// namespace come back as they are (Java: NamespaceUtil.withoutNamespace).
func Unwrap(namespace, name string) string {
	if namespace == "" || systemName(name) {
		return name
	}
	prefix, bare := cut(name)
	if !inside(namespace, bare) {
		return name
	}
	return prefix + bare[len(namespace)+len(separator):]
}

// Of gives the namespace of a name on the wire, "" if it has none (Java:
// NamespaceUtil.getNamespaceFromResource).
func Of(name string) string {
	if systemName(name) {
		return ""
	}
	_, bare := cut(name)
	ns, _, found := strings.Cut(bare, separator)
	if !found {
		return ""
	}
	return ns
}

// cut splits the prefix of a retry or dead-letter topic off.
func cut(name string) (prefix, bare string) {
	for _, p := range [...]string{rocketmq.RetryPrefix, rocketmq.DLQPrefix} {
		if bare, ok := strings.CutPrefix(name, p); ok {
			return p, bare
		}
	}
	return "", name
}

func inside(namespace, bare string) bool {
	return len(bare) > len(namespace) && bare[:len(namespace)] == namespace && bare[len(namespace):len(namespace)+1] == separator
}

// systemName reports whether a topic or group is the cluster's own and shared by
// all namespaces (Java: TopicValidator.isSystemTopic, MixAll.isSysConsumerGroup).
func systemName(name string) bool {
	return rocketmq.IsSystemTopic(name) || rocketmq.IsSystemGroup(name)
}
