// Package texttransport is a transport of one's own, complete and small. Its brokers speak
// a made-up protocol: lines of text over a connection for each request. They know nothing
// of RocketMQ, and their answers are words.
//
// A request to send is a line for the request and one for each message. Texts are quoted as
// in Go, so that every byte survives. The answer has a line for each message:
//
//	> SEND "orders" 3 2
//	> "2 books" 0 "" "TAGS" "paid"
//	> "1 yacht" 0 "" "TAGS" "open"
//	< STORED 42
//	< DENIED no yachts today
//
// A directory knows where topics live. For each broker it tells name, address and number
// of queues:
//
//	> ROUTE "orders"
//	< QUEUES text-a 10.0.0.1:7000 4 text-b 10.0.0.2:7000 4
//
// Everything that the rest of Liftoff has to know about the protocol is in the table of
// answer.go: what kind of failure a word is, and whether the message may be stored. Retry
// policies, breakers, metrics and traces work with that alone.
//
// The tests run transport/transporttest against it, which checks all rules of
// core.Transport and core.RouteSource. None is skipped.
package texttransport
