package policyfile

import _ "embed"

//go:embed starter.yaml
var starter string

// Starter is a file to start from, with comments: a policy for every topic and one for payments.
func Starter() string { return starter }
