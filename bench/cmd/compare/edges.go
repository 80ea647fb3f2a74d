//go:build linux

package main

import (
	"fmt"

	"github.com/fullduplex-go/websocket/bench/internal/load"
	"github.com/fullduplex-go/websocket/bench/internal/report"
)

// The scenarios over TLS have one floor, a goroutine per connection: crypto/tls waits
// for its socket, so there is none with an event loop.
const floorTLS = "floor-goroutine"

func tlsScenarios(conns int) []scenario {
	secure := func(name, title string, job load.Job, compare, show []string) scenario {
		job.TLS = true
		return scenario{
			Scenario: report.Scenario{Name: name, Title: title, Group: groupTLS, Floor: floorTLS, Compare: compare, Show: show},
			job:      job,
			edge:     true,
			floors:   true,
		}
	}
	echo := func(name, title string, depth int, records bool, compare ...string) scenario {
		return secure(name, title, load.Job{Kind: load.Echo, Conns: 64, Size: 128, Depth: depth, Records: records}, compare,
			[]string{report.Writes, report.Records, report.Wire, report.Rate, report.P50, report.P99, report.Busy})
	}
	some := min(conns, 2000)
	return []scenario{
		echo("tls-echo-d1", "TLS echo 128 B, 1 in flight", 1, false, report.CPU),
		echo("tls-echo-d16-records", "TLS echo 128 B, 16 in flight, each in a record of its own", 16, true, report.CPU, report.Writes),
		echo("tls-echo-d16", "TLS echo 128 B, 16 in flight in one record", 16, false, report.CPU, report.Writes),
		secure("tls-memory", fmt.Sprintf("Memory per TLS connection, of %s", report.Thousands(some)),
			load.Job{Kind: load.Memory, Conns: some, Size: 1 << 10, Messages: 1},
			[]string{report.Idle, report.Used}, []string{report.Baseline}),
		secure("tls-handshake", "Connect, TLS handshake, upgrade, reset",
			load.Job{Kind: load.Handshake, Conns: 32}, []string{report.CPU}, underLoad),
	}
}

func tailScenarios() []scenario {
	tail := func(name, title string) scenario {
		return scenario{
			Scenario: report.Scenario{
				Name: name, Title: title, Group: groupTail,
				Compare: []string{report.P99, report.P999},
				Show:    []string{report.P50, report.Rate, report.CPU, report.Busy},
			},
			job:    load.Job{Kind: load.FixedRate, Conns: 64, Size: 64},
			edge:   true,
			floors: true,
		}
	}
	half, same := tail("tail-half", "Echo 64 B at half of the server's capacity"), tail("tail-same", "Echo 64 B at the same rate for all")
	half.Show, same.sameRate = append(half.Show, report.Capacity), true
	return []scenario{half, same}
}

func twoCPUScenarios(conns int) []scenario {
	shared := func(name, title string, job load.Job) scenario {
		return scenario{
			Scenario: report.Scenario{
				Name: "two-cpus-" + name, Title: title + ", two CPUs", Group: groupTwoCPUs,
				Compare: []string{report.CPU}, Show: []string{report.Busy, report.Writes},
			},
			job:    job,
			edge:   true,
			floors: true,
			shared: true,
		}
	}
	everybody := min(conns, 1000)
	return []scenario{
		shared("echo-d1", "Echo 64 B, 1 in flight", load.Job{Kind: load.Echo, Conns: 64, Size: 64, Depth: 1}),
		shared("echo-d16", "Echo 64 B, 16 in flight", load.Job{Kind: load.Echo, Conns: 64, Size: 64, Depth: 16}),
		shared("broadcast", fmt.Sprintf("Broadcast 128 B to %s, per delivery", report.Thousands(everybody)),
			load.Job{Kind: load.Broadcast, Conns: everybody, Size: 128, Depth: 1}),
	}
}
