package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// The suite's configurations, what pip is to install, and a module that keeps
// the suite on the loopback interface.
//
//go:embed suite
var suiteFiles embed.FS

// suite is an installed Autobahn|Testsuite.
type suite struct {
	version string // such as "25.10.1"
	where   string // where it was found, for people
	// start prepares wstest with the given arguments. Its working directory
	// is dir, to which all paths in arguments and configuration are relative.
	start func(ctx context.Context, dir string, args ...string) *exec.Cmd
}

func (s *suite) String() string { return "Autobahn|Testsuite " + s.version + ", " + s.where }

const advice = `the Autobahn|Testsuite was not found. Any one of these will do:
  - Python 2.7, as python2.7 on the PATH or from pyenv (pyenv install 2.7.18), with a C compiler
    and access to PyPI: the suite is then installed into a virtual environment, once
  - Docker, with the image ` + dockerImage + `
  - a wstest of your own, on the PATH or named by $WSTEST
What was tried:
`

// findSuite looks for the suite: $WSTEST, PATH, Python 2.7, Docker. It puts
// what the suite needs at run time into work, and tells out what takes long.
func findSuite(ctx context.Context, work string, out io.Writer) (*suite, error) {
	site := filepath.Join(work, "site")
	if err := os.Mkdir(site, 0o755); err != nil {
		return nil, err
	}
	p, err := suiteFiles.ReadFile("suite/sitecustomize.py")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(site, "sitecustomize.py"), p, 0o644); err != nil {
		return nil, err
	}

	if path := os.Getenv("WSTEST"); path != "" {
		s, err := native(ctx, []string{path}, site, "$WSTEST = "+path)
		if err != nil {
			return nil, fmt.Errorf("$WSTEST: %w", err) // who names one does not want another
		}
		return s, nil
	}
	ways := []struct {
		name string
		find func() (*suite, error)
	}{
		{"wstest on the PATH", func() (*suite, error) {
			path, err := exec.LookPath("wstest")
			if err != nil {
				return nil, errors.New("there is none")
			}
			return native(ctx, []string{path}, site, path)
		}},
		{"Python 2.7", func() (*suite, error) { return fromPython(ctx, site, out) }},
		{"Docker", func() (*suite, error) { return fromDocker(ctx, site, out) }},
	}
	var tried strings.Builder
	for _, way := range ways {
		s, err := way.find()
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, errors.New("interrupted")
		}
		fmt.Fprintf(&tried, "  - %s: %v\n", way.name, err)
	}
	return nil, errors.New(advice + strings.TrimSuffix(tried.String(), "\n"))
}

// native makes a suite of a wstest on this machine.
func native(ctx context.Context, wstest []string, site, where string) (*suite, error) {
	path, err := filepath.Abs(site)
	if err != nil {
		return nil, err
	}
	if more := os.Getenv("PYTHONPATH"); more != "" {
		path += string(os.PathListSeparator) + more
	}
	start := func(ctx context.Context, dir string, args ...string) *exec.Cmd {
		argv := append(wstest[:len(wstest):len(wstest)], args...)
		return command(ctx, argv, dir, "PYTHONPATH="+path, "PYTHONUNBUFFERED=1", "PYTHONNOUSERSITE=1")
	}
	version, err := askVersion(ctx, start)
	if err != nil {
		return nil, err
	}
	return &suite{version, where, start}, nil
}

var versionLine = regexp.MustCompile(`AutobahnTestSuite (\S+)`)

// askVersion runs wstest to see whether it works.
func askVersion(ctx context.Context, start func(context.Context, string, ...string) *exec.Cmd) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	p, err := start(ctx, "", "--autobahnversion").CombinedOutput()
	m := versionLine.FindSubmatch(p)
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("it did not tell its version in %v", startLimit)
	case m != nil:
		return string(m[1]), nil
	case err != nil && len(p) > 0:
		return "", fmt.Errorf("it does not run: %w: %s", err, lastLine(strings.TrimSpace(string(p))))
	case err != nil:
		return "", fmt.Errorf("it does not run: %w", err)
	}
	return "", errors.New("it does not tell its version")
}
