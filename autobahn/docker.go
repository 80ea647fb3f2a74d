package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

const dockerImage = "crossbario/autobahn-testsuite:25.10.1"

// fromDocker returns the suite out of its own image. The container shares our
// network, so loopback addresses and ports are the same on both sides.
func fromDocker(ctx context.Context, site string, out io.Writer) (*suite, error) {
	docker, err := exec.LookPath("docker")
	if err != nil {
		return nil, errors.New("there is none")
	}
	if _, err := output(ctx, docker, "version", "--format", "{{.Server.Version}}"); err != nil {
		return nil, err
	}
	if _, err := output(ctx, docker, "image", "inspect", "--format", "{{.Id}}", dockerImage); err != nil {
		fmt.Fprintf(out, "pulling %s, once\n", dockerImage)
		pull, cancel := context.WithTimeout(ctx, installLimit)
		defer cancel()
		if p, err := command(pull, []string{docker, "pull", "--quiet", dockerImage}, "").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("docker pull: %w: %s", err, p)
		}
	}
	start := func(ctx context.Context, dir string, args ...string) *exec.Cmd {
		name := "autobahn-" + rand.Text()
		cmd := command(ctx, append([]string{docker}, dockerArgs(name, dir, site, args)...), "")
		kill := cmd.Cancel
		cmd.Cancel = func() error {
			// The container is not of docker's family, but its daemon's.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
			defer cancel()
			command(ctx, []string{docker, "rm", "--force", name}, "").Run()
			return kill()
		}
		return cmd
	}
	version, err := askVersion(ctx, start)
	if err != nil {
		return nil, err
	}
	return &suite{version, "image " + dockerImage, start}, nil
}

// dockerArgs are the arguments of docker for one wstest.
func dockerArgs(name, dir, site string, args []string) []string {
	argv := []string{"run", "--rm", "--init", "--name", name, "--network", "host",
		"--env", "HOME=/tmp", "--env", "PYTHONUNBUFFERED=1", "--env", "PYTHONPATH=/site",
		"--volume", absolute(site) + ":/site:ro"}
	if dir != "" {
		argv = append(argv, "--volume", absolute(dir)+":/shard", "--workdir", "/shard")
	}
	if runtime.GOOS == "linux" { // the reports are to be ours
		argv = append(argv, "--user", fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()))
	}
	return append(append(argv, dockerImage, "wstest"), args...)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
