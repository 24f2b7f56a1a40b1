// Package policyfile reads send policies from a YAML file: which topics are sent how. A team
// writes the file, liftoff policy check says what is wrong with it, and a producer takes it with
// liftoff.WithPolicyFile.
//
//	version: 1
//	policies:
//	  default:
//	    timeout: 3s
//	  payments:
//	    extends: default
//	    timeout: 10s
//	    retry: safe
//	targets:
//	  topics:
//	    Payments: payments
//
// docs/policies.md is the reference of the file, and [Schema] its JSON Schema.
//
// Everything in the file is checked when it is read. A key that is not known, a time without a
// unit, a number out of range, a name that nobody registered: each mistake is told with file,
// line and column and, where it can be guessed, with what was meant, and all of them at once.
//
// [Parse] and [Load] give policies that do not change. A [Watcher] looks at the file while the
// producer runs and gives it the new policies; a file with mistakes changes nothing.
//
// What the file can name is registered: the parts of Liftoff are, and a program adds its own
// with [WithSelector] and its siblings, under names with a dot. There is no registry that
// packages share.
package policyfile
