// Package acl signs the requests of a client for clusters with access control, as the brokers
// of 4.x and 5.x check it (Java: AclClientRPCHook). A [Signer] belongs into
// [github.com/liftoff-mq/liftoff/transport/remoting.Config].Signer; programs that use the front
// door fill liftoff.Config.ACL or give liftoff.WithCredentials instead.
//
// The credentials come from a [Provider] and may change while the client runs: from a [File],
// which is watched, or from a function. What never changes is [Static].
//
// Keys, tokens and signatures appear in no log line, no error and no description. A [Secret]
// hides its text from fmt, log/slog and encoders, also inside of other values. The access key
// is the user's name, and is shown.
package acl
