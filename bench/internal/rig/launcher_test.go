//go:build linux

package rig

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestLauncherPins(t *testing.T) {
	cpus, err := AllowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	l := NewLauncher()
	for _, cpu := range cpus[:min(2, len(cpus))] {
		var out strings.Builder
		cmd := exec.Command("grep", "Cpus_allowed_list", "/proc/self/status")
		cmd.Stdout = &out
		if err := l.Start(cmd, cpu); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Fields(out.String()); !slices.Equal(got, []string{"Cpus_allowed_list:", fmt.Sprint(cpu)}) {
			t.Errorf("started on %v, want %d", got, cpu)
		}
	}
	var out strings.Builder
	cmd := exec.Command("nproc")
	cmd.Stdout = &out
	if err := l.Start(cmd, cpus...); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got != fmt.Sprint(len(cpus)) {
		t.Errorf("started on %s CPUs, want %d", got, len(cpus))
	}
}
