// Package load puts load on one client and measures it, in the client's own process.
//
// A contender is a program of its own, so that its processor time and memory are its own. It gets the cell to run as
// key=value arguments ([Spec]), prints the line "begin" when the warm-up is over and "end" when the window is over -
// the moments at which the bench looks at /proc -, and one line of JSON, the [Result]. It ends when its standard input ends. The Java
// contender speaks the same little protocol.
package load
