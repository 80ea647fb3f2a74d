package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// installLimit bounds what pip does; it compiles one small module.
const installLimit = 10 * time.Minute

// fromPython returns the suite out of a virtual environment in the user's
// cache directory, which is made if it is not there.
func fromPython(ctx context.Context, site string, out io.Writer) (*suite, error) {
	python, err := findPython(ctx)
	if err != nil {
		return nil, err
	}
	requirements, err := suiteFiles.ReadFile("suite/requirements.txt")
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	// Another set of requirements, or another Python, is another environment.
	key := sha256.Sum256(append(requirements, python...))
	env := filepath.Join(cache, "fullduplex-go-websocket", fmt.Sprintf("autobahn-%x", key[:6]))
	wstest := []string{inEnvironment(env), "-m", "autobahntestsuite.wstest"}
	where := "virtual environment " + env
	find := func() (*suite, error) { return native(ctx, wstest, site, where) }
	if s, err := find(); err == nil {
		return s, nil
	}
	start := time.Now()
	fmt.Fprintf(out, "installing the suite for %s into %s; this takes a minute or two, once\n", python, env)
	tmp, err := makeEnvironment(ctx, python, filepath.Dir(env), requirements)
	if err != nil {
		return nil, fmt.Errorf("installing: %w", err)
	}
	defer os.RemoveAll(tmp)
	fmt.Fprintf(out, "installed in %v\n", time.Since(start).Round(time.Second))
	if s, err := find(); err == nil {
		return s, nil // another run was quicker, and may be using it
	}
	os.RemoveAll(env)
	if err := os.Rename(filepath.Join(tmp, "env"), env); err != nil {
		return nil, err
	}
	return find()
}

// inEnvironment returns the interpreter of a virtual environment.
func inEnvironment(env string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(env, "Scripts", "python.exe")
	}
	return filepath.Join(env, "bin", "python")
}

// findPython returns the path of a Python 2.7 that runs. A name on the PATH
// proves nothing: pyenv puts one there for versions that it will not start.
func findPython(ctx context.Context) (string, error) {
	candidates := []string{"python2.7", "python2", "python"}
	roots := []string{os.Getenv("PYENV_ROOT")}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, ".pyenv"))
	}
	for _, root := range roots {
		if root != "" {
			found, _ := filepath.Glob(filepath.Join(root, "versions", "2.7*", "bin", "python2.7"))
			candidates = append(candidates, found...)
		}
	}
	const show = "import sys; assert sys.version_info[:2] == (2, 7); print(sys.executable)"
	for _, name := range candidates {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if real, err := output(ctx, path, "-c", show); err == nil && filepath.IsAbs(real) {
			return real, nil
		}
	}
	return "", errors.New("no Python 2.7 on the PATH or in ~/.pyenv")
}

// makeEnvironment makes a virtual environment with the suite. It is the folder
// env of the one that is returned, which lies in parent and is the caller's to
// remove: the environment is complete before it is moved to its place, which
// it bears.
func makeEnvironment(ctx context.Context, python, parent string, requirements []byte) (tmp string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, installLimit, fmt.Errorf("it took more than %v", installLimit))
	defer cancel()
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	if tmp, err = os.MkdirTemp(parent, "making-"); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
		}
	}()
	constraints, err := suiteFiles.ReadFile("suite/constraints.txt")
	if err != nil {
		return "", err
	}
	tools := filepath.Join(tmp, "tools")
	fresh := filepath.Join(tmp, "env")
	files := map[string][]byte{"requirements.txt": requirements, "constraints.txt": constraints}
	for name, p := range files {
		if err := os.WriteFile(filepath.Join(tmp, name), p, 0o644); err != nil {
			return "", err
		}
	}
	step := func(argv ...string) error {
		log := filepath.Join(tmp, "log")
		cmd := command(ctx, argv, tmp,
			"PYTHONPATH="+tools, "PYTHONNOUSERSITE=1", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1",
			// A variable also reaches the environments in which pip builds.
			"PIP_CONSTRAINT="+filepath.Join(tmp, "constraints.txt"))
		if err := runLogged(ctx, cmd, log, nil); err != nil {
			return fmt.Errorf("%s: %w\n%s", filepath.Base(argv[0]), err, tail(log, 15))
		}
		return nil
	}

	// Python 2.7 has no venv, and Debian's has no pip either. Then that of
	// some Python 3 does: virtualenv makes environments for others, too.
	var maker string
	var failures []error
	for _, p := range []string{python, "python3"} {
		err := step(p, "-m", "pip", "install", "--quiet", "--target", tools, "virtualenv", "distlib")
		if err == nil {
			maker = p
			break
		}
		failures = append(failures, err)
		os.RemoveAll(tools)
	}
	if maker == "" {
		return "", fmt.Errorf("virtualenv: %w", errors.Join(failures...))
	}
	seeds := filepath.Join(tmp, "seeds")
	if err := step(maker, "-m", "virtualenv", "--quiet", "--app-data", seeds, "--python", python, fresh); err != nil {
		return "", err
	}
	os.RemoveAll(tools) // or its modules would hide those of the environment
	return tmp, step(inEnvironment(fresh), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", "requirements.txt")
}
