// Package rulekit runs the checks of a test kit's rules: core/steptest's of steps and
// transport/transporttest's of transports.
//
// A check looks at code of somebody else, which may block, panic or end its goroutine. So
// everything of that code runs on a goroutine of its own ([Kit.Begin]), and the check ends in
// time and says which method it was.
package rulekit
