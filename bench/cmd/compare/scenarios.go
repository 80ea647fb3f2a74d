//go:build linux

package main

import (
	"fmt"

	"github.com/fullduplex-go/websocket/bench/internal/load"
	"github.com/fullduplex-go/websocket/bench/internal/report"
)

// scenario is one measurement, and how it is reported.
type scenario struct {
	report.Scenario
	job    load.Job
	quick  bool // part of the quick run
	floors bool // the floors can do it
	ours   bool // of this library only: others' servers would wait for ever
}

// The groups, each of which has a plot; their titles are with the plots.
const (
	groupEcho    = "echo"
	groupMany    = "many"
	groupMemory  = "memory"
	groupDeflate = "deflate"
	groupState   = "deflate-memory"
)

// scenarios is the whole list. conns is the number of idle connections that
// the machine allows, up to 10,000.
func scenarios(conns int) []scenario {
	var list []scenario
	for _, size := range []int{64, 1 << 10, 16 << 10, 256 << 10} {
		for _, depth := range []int{1, 16} {
			list = append(list, scenario{
				Scenario: report.Scenario{
					Name:    fmt.Sprintf("echo-%s-d%d", bytesName(size), depth),
					Title:   fmt.Sprintf("Echo %s, %d in flight", bytesTitle(size), depth),
					Group:   groupEcho,
					Compare: []string{report.CPU}, Show: []string{report.Rate, report.P50, report.P99, report.Busy},
				},
				job:    load.Job{Kind: load.Echo, Conns: 64, Size: size, Depth: depth},
				quick:  depth == 1 && size != 1<<10 || depth == 16 && size <= 1<<10,
				floors: true,
			})
		}
	}
	everybody := min(conns, 1000)
	list = append(list, scenario{
		Scenario: report.Scenario{
			Name: "broadcast", Title: fmt.Sprintf("Broadcast 128 B to %s, per delivery", report.Thousands(everybody)), Group: groupMany,
			Compare: []string{report.CPU}, Show: []string{report.Rate, report.P50, report.P99, report.Busy},
		},
		job:    load.Job{Kind: load.Broadcast, Conns: everybody, Size: 128, Depth: 1},
		floors: true,
	}, scenario{
		Scenario: report.Scenario{
			Name: "broadcast-stalled", Title: "The same, with one more that reads nothing", Group: groupMany,
			Compare: []string{report.CPU}, Show: []string{report.Rate, report.P50, report.P99, report.Busy},
		},
		job:  load.Job{Kind: load.Broadcast, Conns: everybody, Size: 128, Depth: 1, Stalled: 1},
		ours: true,
	}, scenario{
		Scenario: report.Scenario{
			Name: "broadcast-all", Title: fmt.Sprintf("Broadcast 128 B to %s, per delivery", report.Thousands(conns)), Group: groupMany,
			Compare: []string{report.CPU}, Show: []string{report.Rate, report.P50, report.P99, report.Busy},
		},
		job:    load.Job{Kind: load.Broadcast, Conns: conns, Size: 128, Depth: 1},
		floors: true,
	}, scenario{
		Scenario: report.Scenario{
			Name: "handshake", Title: "Connect, upgrade, reset", Group: groupMany,
			Compare: []string{report.CPU}, Show: []string{report.Rate, report.P50, report.P99, report.Busy},
		},
		job:    load.Job{Kind: load.Handshake, Conns: 32},
		floors: true,
	})
	list = append(list, scenario{
		Scenario: report.Scenario{
			Name: "memory", Title: fmt.Sprintf("Memory per connection, of %s", report.Thousands(conns)), Group: groupMemory,
			Compare: []string{report.Idle, report.Used}, Show: []string{report.Baseline},
		},
		job:   load.Job{Kind: load.Memory, Conns: conns, Size: 1 << 10, Messages: 1},
		quick: true, floors: true,
	})
	for _, compress := range []struct{ name, title string }{{load.NoTakeover, "no takeover"}, {load.Takeover, "takeover"}} {
		list = append(list, scenario{
			Scenario: report.Scenario{
				Name: "deflate-" + compress.name, Title: "Echo 1 KiB JSON compressed, " + compress.title, Group: groupDeflate,
				Compare: []string{report.CPU, report.Wire}, Show: []string{report.Sent, report.Rate, report.P50, report.P99, report.Busy},
			},
			job:   load.Job{Kind: load.Echo, Conns: 64, Size: 1 << 10, Depth: 1, Compress: compress.name},
			quick: true,
		}, scenario{
			Scenario: report.Scenario{
				Name: "deflate-memory-" + compress.name, Group: groupState,
				Title:   fmt.Sprintf("Memory per compressed connection, %s, of %s", compress.title, report.Thousands(everybody)),
				Compare: []string{report.Idle, report.Used}, Show: []string{report.Baseline},
			},
			// So many messages fill a window of 32 KiB.
			job: load.Job{Kind: load.Memory, Conns: everybody, Size: 1 << 10, Messages: 40, Compress: compress.name},
		})
	}
	return list
}

func bytesName(n int) string {
	if n < 1<<10 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%dKi", n>>10)
}

func bytesTitle(n int) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
