//go:build !linux

package browser

import "os/exec"

// endWithParent does nothing: only Linux knows how.
func endWithParent(*exec.Cmd) {}
