package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/simulate"
)

// table writes the reports as Markdown, a row for each incident and policy, in the order of the reports.
func table(w io.Writer, reports []*simulate.Report) error {
	var b strings.Builder
	b.WriteString("| incident | policy | plain: errors | plain: p99 ms | worst seed | keyed: errors | elsewhere | to the sick broker | duplicates | lost |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	last := simulate.Incident("")
	for len(reports) > 0 {
		first := reports[0]
		n := slices.IndexFunc(reports, func(r *simulate.Report) bool { return r.Incident != first.Incident || r.Policy != first.Policy })
		if n < 0 {
			n = len(reports)
		}
		incident := string(first.Incident)
		if first.Incident == last {
			incident = ""
		}
		last = first.Incident
		fmt.Fprintf(&b, "| %s | %s | %s |\n", incident, first.Policy, strings.Join(cells(reports[:n]), " | "))
		reports = reports[n:]
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cells sum up the runs of one incident and policy.
func cells(reports []*simulate.Report) []string {
	var plain, keyed simulate.Traffic
	var p99 []float64
	var elsewhere, duplicates, lost, calls int
	var sick float64
	for _, r := range reports {
		plain.Calls, plain.Errors = plain.Calls+r.Plain.Calls, plain.Errors+r.Plain.Errors
		keyed.Calls, keyed.Errors = keyed.Calls+r.WithKey.Calls, keyed.Errors+r.WithKey.Errors
		p99 = append(p99, r.Plain.SettledP99)
		elsewhere += r.Unexplained
		duplicates += r.Duplicates
		lost += r.Lost
		calls += r.Calls
		sick += r.SickShare
	}
	slices.Sort(p99)
	return []string{
		percent(plain.Errors, plain.Calls), milliseconds(p99[len(p99)/2]), milliseconds(p99[len(p99)-1]),
		percent(keyed.Errors, keyed.Calls), fmt.Sprint(elsewhere), fmt.Sprintf("%.1f%%", 100*sick/float64(len(reports))),
		percent(duplicates, calls), fmt.Sprint(lost),
	}
}

// percent is a share, and 0 only if it is none.
func percent(n, of int) string {
	if n == 0 {
		return "0"
	}
	share := 100 * float64(n) / float64(of)
	if share < 0.01 {
		return "< 0.01%"
	}
	return fmt.Sprintf("%.2f%%", share)
}

func milliseconds(ms float64) string {
	if ms < 100 {
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}
