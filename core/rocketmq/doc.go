// Package rocketmq holds what RocketMQ itself says: response codes and what they
// mean, property names and their text form, system flags, queue permissions, recall
// handles, and the rules for topics and groups.
//
// It is the ground floor of Liftoff. It knows no producer and no protocol header,
// imports the standard library alone, and does no I/O. Request codes, header flags
// and version numbers belong to the remoting protocol and stand in transport/wire.
//
// Names and numbers are those of the Java sources of 4.9.7 and 5.3.3. Where the two
// differ, or a later version adds something, the comment says so. All lengths are
// in bytes.
//
// Nothing here keeps state. Everything is safe for concurrent use.
package rocketmq
