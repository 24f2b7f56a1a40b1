// Package lawtest holds the rules of the source tree that a compiler does not
// check, and the tests that enforce them: which package may import what, no
// side effect at import, no init function, no oversized file, no package whose
// name says nothing, no protocol's words in core, no link in the documents that leads
// nowhere, no file and no folder that DESIGN.md's tables have forgotten.
//
// The rules read source text only, so they work while a package does not build
// and cover files that other build tags leave out. They are functions over an
// fs.FS; the tests run each of them against trees that break it as well as
// against the real one.
package lawtest
