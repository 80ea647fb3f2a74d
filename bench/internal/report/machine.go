package report

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// ThisMachine describes the machine as far as Linux tells.
func ThisMachine() Machine {
	m := Machine{CPU: "unknown CPU", CPUs: runtime.NumCPU(), Kernel: "unknown", OS: runtime.GOOS + "/" + runtime.GOARCH}
	if v := field("/proc/cpuinfo", "model name"); v != "" {
		m.CPU = strings.Join(strings.Fields(v), " ")
	}
	if v, ok := strings.CutSuffix(field("/proc/meminfo", "MemTotal"), " kB"); ok {
		if kb, err := strconv.ParseInt(v, 10, 64); err == nil {
			m.Memory = kb << 10
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	return m
}

// String describes the machine and what the programs were built with.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d CPUs (%s), %.0f GiB, Linux %s, %s", m.CPU, m.CPUs, m.OS, float64(m.Memory)/(1<<30), m.Kernel, m.Go)
}

// field returns the value of the first "name: value" line of a file.
func field(file, name string) string {
	text, _ := os.ReadFile(file)
	for line := range bytes.Lines(text) {
		if k, v, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
