//go:build !unix

package main

import "os/exec"

func isolate(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
