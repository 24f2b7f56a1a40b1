// Package procfs reads processor time, memory and context switches of processes from Linux's /proc.
package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc's times: USER_HZ is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// FS reads /proc, or a copy of it.
type FS struct{ Root fs.FS }

// CPU is the processor time of the whole machine since its start.
type CPU struct {
	Busy  time.Duration // spent on any process or on the kernel's own work
	Steal time.Duration // taken away by the hypervisor
	Total time.Duration // all of it, idle time included
}

// CPU reads the machine's processor time.
func (p FS) CPU() (CPU, error) {
	b, err := fs.ReadFile(p.Root, "stat")
	if err != nil {
		return CPU{}, err
	}
	return parseCPU(b)
}

// The columns of the line "cpu" after its name: user, nice, system, idle, iowait, irq, softirq, steal. The two
// after them, guest times, are part of user and nice.
const (
	idle, iowait, steal = 3, 4, 7
	columns             = 8
)

func parseCPU(stat []byte) (CPU, error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	f := strings.Fields(string(line))
	if len(f) < 1+columns || f[0] != "cpu" {
		return CPU{}, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var c CPU
	for i := range columns {
		n, err := strconv.ParseInt(f[1+i], 10, 64)
		if err != nil {
			return CPU{}, fmt.Errorf("/proc/stat: %w", err)
		}
		d := time.Duration(n) * tick
		c.Total += d
		switch i {
		case idle, iowait:
		case steal:
			c.Steal += d
		default:
			c.Busy += d
		}
	}
	return c, nil
}

// Process is what one process has used since its start.
type Process struct {
	CPU      time.Duration
	PeakRSS  int64 // bytes
	Switches int64 // times that one of its living threads went to sleep
}

// Process reads one process.
func (p FS) Process(pid int) (Process, error) {
	dir := strconv.Itoa(pid)
	stat, err := fs.ReadFile(p.Root, dir+"/stat")
	if err != nil {
		return Process{}, err
	}
	var out Process
	if out.CPU, err = parseStat(stat); err != nil {
		return Process{}, err
	}
	status, err := fs.ReadFile(p.Root, dir+"/status")
	if err != nil {
		return Process{}, err
	}
	kb, err := field(status, "VmHWM")
	if err != nil {
		return Process{}, err
	}
	out.PeakRSS = kb << 10
	tasks, err := fs.ReadDir(p.Root, dir+"/task")
	if err != nil {
		return Process{}, err
	}
	for _, t := range tasks {
		b, err := fs.ReadFile(p.Root, dir+"/task/"+t.Name()+"/status")
		if err != nil {
			continue // the thread has ended
		}
		n, err := field(b, "voluntary_ctxt_switches")
		if err != nil {
			return Process{}, err
		}
		out.Switches += n
	}
	return out, nil
}

// parseStat gives user and system time. The command's name, in parentheses, may hold blanks and parentheses.
func parseStat(stat []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(stat, ')')
	f := strings.Fields(string(stat[end+1:]))
	if end < 0 || len(f) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat is %q", stat)
	}
	user, err := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err, err2)
}

// field finds a number in a status file.
func field(status []byte, name string) (int64, error) {
	for line := range strings.Lines(string(status)) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/PID/status has no %s", name)
}
