// Package admin does the administration that producers need: it creates topics, shows their
// routes and offsets, and finds stored messages by id and by key. It is made of requests of a
// [remoting.Client], which signs them, encrypts them and bounds them as it does all others.
//
// What Java does is the model (MQAdminImpl, MQClientAPIImpl). It differs here in this:
//
//   - A request that several brokers are asked says of each that failed what happened, in a
//     *[BrokersError]. Java logs that and returns what it has.
//   - Each request is made once. Java creates a topic at a broker up to five times.
//   - A message type is refused with [core.ErrUnsupported] where the broker is older than 5.0 and
//     has dropped it. Java says success.
//   - A unique id is found at a broker of 4.9 with access control too, where Java's request is
//     refused: that broker verifies another signature than Java's client of the same version makes.
//   - The order of an ordered topic is a flag of the topic. mqadmin also writes an order
//     configuration to the name servers, if it is told to.
//   - Messages come sorted by the time at which they were stored. Bodies are unpacked when they
//     are asked for, so one that cannot be unpacked costs no other message.
//
// An answer is at most 16 MiB long; a longer one ends the connection on which it comes, where
// sends may be under way. The answers of all brokers that are being read share 16 MiB too. One that
// finds no room waits, and the answers to sends that follow it on its connection wait with it. A
// program that looks for many large messages gives this package a client of its own.
package admin
