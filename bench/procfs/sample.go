package procfs

import "time"

// Sample is a look at the client, the servers and the machine at one moment.
type Sample struct {
	At              time.Time
	Machine         CPU
	Client, Servers Process
	Network         time.Duration // processor time of who plays the network
}

// Sample looks now. network are the processes that carry what goes between client and servers.
func (p FS) Sample(client int, servers []int, network ...int) (Sample, error) {
	s := Sample{At: time.Now()}
	var err error
	if s.Machine, err = p.CPU(); err != nil {
		return s, err
	}
	if s.Client, err = p.Process(client); err != nil {
		return s, err
	}
	for _, pid := range servers {
		one, err := p.Process(pid)
		if err != nil {
			return s, err
		}
		s.Servers.CPU += one.CPU
		s.Servers.PeakRSS += one.PeakRSS
		s.Servers.Switches += one.Switches
	}
	for _, pid := range network {
		one, err := p.Process(pid)
		if err != nil {
			return s, err
		}
		s.Network += one.CPU
	}
	return s, nil
}

// Steal is the share of the machine that the hypervisor took between two samples.
func Steal(a, b Sample) float64 {
	return share(b.Machine.Steal-a.Machine.Steal, b.Machine.Total-a.Machine.Total)
}

// Others is the share that went to neither the client nor the servers nor the network nor idling: other programs and the kernel.
func Others(a, b Sample) float64 {
	busy := b.Machine.Busy - a.Machine.Busy
	ours := b.Client.CPU - a.Client.CPU + b.Servers.CPU - a.Servers.CPU + b.Network - a.Network
	return share(max(busy-ours, 0), b.Machine.Total-a.Machine.Total)
}

func share(part, whole time.Duration) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
