package rig

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// OurModule is the path of the library's module.
const OurModule = "github.com/fullduplex-go/websocket"

// ModuleDir finds the folder of the bench module: here or above.
func ModuleDir() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		text, readErr := os.ReadFile(filepath.Join(dir, "go.mod"))
		if readErr == nil && bytes.HasPrefix(text, []byte("module "+OurModule+"/bench\n")) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run this in the bench folder, by go run ./cmd/compare")
		}
		dir = parent
	}
	return "", err
}

// Revision names the commit of the tree, or is "" where git does not know.
func Revision(ctx context.Context, dir string) string {
	head, err := exec.CommandContext(ctx, "git", "-C", dir, "rev-parse", "--short=10", "HEAD").Output()
	if err != nil {
		return ""
	}
	name := string(bytes.TrimSpace(head))
	if changes, err := exec.CommandContext(ctx, "git", "-C", dir, "status", "--porcelain").Output(); err != nil || len(changes) > 0 {
		name += " with changes"
	}
	return name
}
