//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// settings hold the flags of the command line.
type settings struct {
	preset    *preset
	command   string
	out       string // folder for the results, or "" for none
	render    string // results to render again
	servers   []server
	scenarios []scenario
	rounds    int
	time      time.Duration
	conns     int
}

// preset is a named choice of scenarios.
type preset struct {
	name   string
	text   string
	rounds int
	time   time.Duration
	out    string // default folder for the results
	has    func(scenario) bool
}

// presets are all of them, the default one first.
var presets = []preset{
	{"quick", "the scenarios that matter most, three short rounds: some 4 minutes", 3, 300 * time.Millisecond, "results",
		func(sc scenario) bool { return sc.quick }},
	{"full", "everything, seven rounds: some 50 minutes", 7, 500 * time.Millisecond, "results",
		func(scenario) bool { return true }},
	{"tls", "everything over TLS, five rounds: some 6 minutes", 5, 500 * time.Millisecond, "",
		func(sc scenario) bool { return sc.job.TLS }},
	{"edges", "TLS, bursts, fixed rates, two CPUs and the like, five rounds: some 20 minutes", 5, 500 * time.Millisecond, "",
		func(sc scenario) bool { return sc.edge }},
}

func presetNames() string {
	var names []string
	for _, p := range presets {
		names = append(names, p.name)
	}
	return strings.Join(names, "|")
}

const usage = `usage: go run ./cmd/compare [flags] [%s]

%s
Scenarios: %s
Servers:   %s

flags:
`

func parse(args []string, out io.Writer) (*settings, error) {
	s := &settings{command: strings.Join(append([]string{"go run ./cmd/compare"}, args...), " ")}
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		var names, all []string
		for _, sc := range scenarios(10000) {
			all = append(all, sc.Name)
		}
		for _, sv := range servers {
			names = append(names, sv.name)
		}
		var lines string
		for _, p := range presets {
			lines += fmt.Sprintf("  %-6s %s\n", p.name, p.text)
		}
		fmt.Fprintf(out, usage, presetNames(), lines, strings.Join(all, " "), strings.Join(names, " "))
		flags.PrintDefaults()
	}
	flags.StringVar(&s.out, "o", "", "write results.json, results.md and plots to this `folder` (default results with\nquick and full, but none with -servers or -scenarios)")
	flags.StringVar(&s.render, "render", "", "measure nothing, and write the Markdown and the plots of this results.json again,\nbeside it or to -o")
	names := flags.String("servers", "", "only these servers, by `names` with commas")
	pattern := flags.String("scenarios", "", "only the scenarios whose name matches this `regexp`, of all there are")
	flags.IntVar(&s.rounds, "rounds", 0, "how often everything is measured (default: as the preset says)")
	flags.DurationVar(&s.time, "time", 0, "how long a load is measured (default 300ms if quick, or 500ms)")
	flags.IntVar(&s.conns, "conns", 10000, "idle connections for the memory scenario")
	for rest := args; ; {
		if err := flags.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usageErrorf("%v", err)
		}
		if flags.NArg() == 0 {
			break
		}
		i := slices.IndexFunc(presets, func(p preset) bool { return p.name == flags.Arg(0) })
		if s.preset != nil || i < 0 {
			return nil, usageErrorf("one of %s, not %q", presetNames(), flags.Arg(0))
		}
		s.preset, rest = &presets[i], flags.Args()[1:]
	}
	if s.preset == nil {
		s.preset = &presets[0]
	}
	if s.rounds == 0 {
		s.rounds = s.preset.rounds
	}
	if s.time == 0 {
		s.time = s.preset.time
	}
	if s.rounds < 1 || s.time < 10*time.Millisecond || s.time > time.Minute || s.conns < 1 {
		return nil, usageErrorf("-rounds and -conns are at least 1, -time is between 10ms and 1m")
	}
	if s.out == "" && *names == "" && *pattern == "" {
		s.out = s.preset.out
	}
	return s, s.choose(*names, *pattern)
}

// choose picks the servers and the scenarios.
func (s *settings) choose(names, pattern string) error {
	s.servers = servers
	if names != "" {
		s.servers = nil
		for name := range strings.SplitSeq(names, ",") {
			i := slices.IndexFunc(servers, func(sv server) bool { return sv.name == strings.TrimSpace(name) })
			if i < 0 {
				return usageErrorf("there is no server %q; -h lists them", name)
			}
			s.servers = append(s.servers, servers[i])
		}
	}
	want, err := regexp.Compile(pattern)
	if err != nil {
		return usageErrorf("-scenarios: %v", err)
	}
	for _, sc := range scenarios(s.conns) {
		if want.MatchString(sc.Name) && (pattern != "" || s.preset.has(sc)) {
			s.scenarios = append(s.scenarios, sc)
		}
	}
	if len(s.scenarios) == 0 {
		return usageErrorf("no scenario matches %q; -h lists them", pattern)
	}
	return nil
}
