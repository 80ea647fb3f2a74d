// Command modproxy adds a version of a module to a module proxy in the file
// system, for GOPROXY=file:///PROXY.
//
//	modproxy PROXY MODULE VERSION DIR
//
// DIR holds the files of the module. As on a public proxy, modules nested in it
// are left out, and a file that a module cannot have is an error.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: modproxy PROXY MODULE VERSION DIR")
		os.Exit(2)
	}
	m := module.Version{Path: os.Args[2], Version: os.Args[3]}
	if err := add(os.Args[1], m, os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "modproxy:", err)
		os.Exit(1)
	}
}

// add writes the four files of the GOPROXY protocol for m, whose files are in dir.
func add(proxy string, m module.Version, dir string) error {
	if err := module.Check(m.Path, m.Version); err != nil {
		return err
	}
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		return err
	}
	to := filepath.Join(proxy, filepath.FromSlash(path), "@v")
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}

	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{m.Version, time.Now().UTC()})
	if err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		version + ".info": info,
		version + ".mod":  mod,
		"list":            []byte(m.Version + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(to, name), content, 0o644); err != nil {
			return err
		}
	}

	file, err := os.Create(filepath.Join(to, version+".zip"))
	if err != nil {
		return err
	}
	if err := zip.CreateFromDir(file, m, dir); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
