// Package embedded runs RocketMQ name servers and brokers inside this process. They speak the
// bytes of the real ones, through the same codec as Liftoff's client, over loopback TCP or over
// an in-memory [Network] that works under testing/synctest.
//
// It has three uses: the cluster that a program or an example starts when nothing is installed,
// the double that tests send to, and the development server behind `liftoff broker`. Producers and
// consumers of RocketMQ's own clients work with it: what a consumer fails comes again and ends in the
// dead-letter topic, tags are filtered, and mqadmin sees what there is. It keeps messages in memory
// only and checks no credentials: it is not for production.
//
//	cluster, err := embedded.Start(ctx, embedded.Config{Brokers: embedded.BrokerNames(2)})
//	defer cluster.Close()
//	... cluster.NameServers() ...
//	for _, m := range cluster.Stored("orders") { ... }
//
// A test uses [New], which ends the cluster by itself. Faults are scripted per request code with
// [Cluster.Control], which decides for each request whether it is answered as a real server
// would, answered otherwise, delayed, never answered or cut off; whole servers stop, start and
// pause with the methods of [Broker] and [NameServer]. A broker asks a client when it is told to,
// with [Broker.Ask].
//
// Each file req_*.go holds a group of request codes and begins with the versions whose
// behaviour it follows and where it differs. NOT_MODELLED.md lists what is missing as a whole.
//
// Unless a method says otherwise everything here is safe for concurrent use.
package embedded
