//go:build linux

package main

import (
	"fmt"
	"slices"

	"github.com/fullduplex-go/websocket/bench/internal/load"
	"github.com/fullduplex-go/websocket/bench/internal/report"
)

// scenario is one measurement, and how it is reported.
type scenario struct {
	report.Scenario
	job      load.Job
	quick    bool // part of the quick run
	edge     bool // part of the run "edges"
	floors   bool // the floors can do it
	ours     bool // of this library only: others' servers would wait for ever
	shared   bool // the server has two CPUs, and the load runs on the same
	sameRate bool // all servers at the same rate: half of what the slowest can do
}

// The groups, each of which has a plot; their titles are with the plots.
const (
	groupEcho    = "echo"
	groupMany    = "many"
	groupMemory  = "memory"
	groupDeflate = "deflate"
	groupState   = "deflate-memory"
	groupTLS     = "tls"
	groupTail    = "tail"
	groupTwoCPUs = "two-cpus"
)

// underLoad are the metrics that most loads show besides those compared.
var underLoad = []string{report.Rate, report.P50, report.P99, report.Busy, report.Writes}

// scenarios is the whole list. conns is the number of idle connections that
// the machine allows, up to 10,000.
func scenarios(conns int) []scenario {
	return slices.Concat(
		echoScenarios(),
		broadcastScenarios(conns),
		handshakeScenarios(),
		memoryScenarios(conns),
		deflateScenarios(conns),
		tlsScenarios(conns),
		tailScenarios(),
		twoCPUScenarios(conns),
	)
}

func echoScenarios() (list []scenario) {
	for _, size := range []int{64, 1 << 10, 16 << 10, 256 << 10} {
		for _, depth := range []int{1, 16} {
			list = append(list, scenario{
				Scenario: report.Scenario{
					Name:    fmt.Sprintf("echo-%s-d%d", bytesName(size), depth),
					Title:   fmt.Sprintf("Echo %s, %d in flight", bytesTitle(size), depth),
					Group:   groupEcho,
					Compare: []string{report.CPU}, Show: underLoad,
				},
				job:    load.Job{Kind: load.Echo, Conns: 64, Size: size, Depth: depth},
				quick:  depth == 1 && size != 1<<10 || depth == 16 && size <= 1<<10,
				edge:   size == 64, // for their write system calls
				floors: true,
			})
		}
	}
	return list
}

func broadcastScenarios(conns int) []scenario {
	everybody := min(conns, 1000)
	broadcast := func(name, title string, conns int) scenario {
		return scenario{
			Scenario: report.Scenario{
				Name: name, Title: title, Group: groupMany,
				Compare: []string{report.CPU}, Show: underLoad,
			},
			job:    load.Job{Kind: load.Broadcast, Conns: conns, Size: 128, Depth: 1},
			floors: true,
		}
	}
	perDelivery := fmt.Sprintf("128 B to %s, per delivery", report.Thousands(everybody))
	one := broadcast("broadcast", "Broadcast "+perDelivery, everybody)
	stalled := broadcast("broadcast-stalled", "The same, with one more that reads nothing", everybody)
	stalled.job.Stalled, stalled.ours, stalled.floors = 1, true, false
	all := broadcast("broadcast-all", fmt.Sprintf("Broadcast 128 B to %s, per delivery", report.Thousands(conns)), conns)
	list := []scenario{one, stalled, all}
	for _, n := range []int{8, 32} {
		burst := broadcast(fmt.Sprintf("burst-%d", n), fmt.Sprintf("Bursts of %d messages of %s", n, perDelivery), everybody)
		burst.job.Depth, burst.edge = n, true
		list = append(list, burst)
	}
	return list
}

func handshakeScenarios() []scenario {
	return []scenario{{
		Scenario: report.Scenario{
			Name: "handshake", Title: "Connect, upgrade, reset", Group: groupMany,
			Compare: []string{report.CPU}, Show: underLoad,
		},
		job:    load.Job{Kind: load.Handshake, Conns: 32},
		edge:   true,
		floors: true,
	}}
}

func memoryScenarios(conns int) []scenario {
	return []scenario{{
		Scenario: report.Scenario{
			Name: "memory", Title: fmt.Sprintf("Memory per connection, of %s", report.Thousands(conns)), Group: groupMemory,
			Compare: []string{report.Idle, report.Used}, Show: []string{report.Baseline},
		},
		job:   load.Job{Kind: load.Memory, Conns: conns, Size: 1 << 10, Messages: 1},
		quick: true, floors: true,
	}}
}

// windowMessages messages of 1 KiB fill a window of 32 KiB.
const windowMessages = 40

func deflateScenarios(conns int) (list []scenario) {
	everybody := min(conns, 1000)
	for _, compress := range []struct{ name, title string }{{load.NoTakeover, "no takeover"}, {load.Takeover, "takeover"}} {
		echo := scenario{
			Scenario: report.Scenario{
				Name: "deflate-" + compress.name, Title: "Echo 1 KiB JSON compressed, " + compress.title, Group: groupDeflate,
				Compare: []string{report.CPU, report.Wire}, Show: append([]string{report.Sent}, underLoad...),
			},
			job:   load.Job{Kind: load.Echo, Conns: 64, Size: 1 << 10, Depth: 1, Compress: compress.name},
			quick: true,
		}
		list = append(list, echo)
		if compress.name == load.Takeover {
			echo.Name += "-many"
			echo.Title += ", " + report.Thousands(everybody) + " connections"
			echo.job.Conns, echo.job.Messages = everybody, windowMessages
			echo.quick, echo.edge = false, true
			list = append(list, echo)
		}
		list = append(list, scenario{
			Scenario: report.Scenario{
				Name: "deflate-memory-" + compress.name, Group: groupState,
				Title:   fmt.Sprintf("Memory per compressed connection, %s, of %s", compress.title, report.Thousands(everybody)),
				Compare: []string{report.Idle, report.Used}, Show: []string{report.Baseline},
			},
			job: load.Job{Kind: load.Memory, Conns: everybody, Size: 1 << 10, Messages: windowMessages, Compress: compress.name},
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
