package docs

import (
	"bytes"
	"context"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// The client in README.md.
var _ = func(ctx context.Context) error {
	c, _, err := websocket.Dial(ctx, "ws://localhost:8080/ws", nil)
	if err != nil {
		return err
	}
	defer c.Close(websocket.StatusNormalClosure, "")
	if err := c.Write(ctx, websocket.Text, []byte("hello")); err != nil {
		return err
	}
	typ, data, err := c.Read(ctx)
	_, _ = typ, data
	return err
}

// read returns a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section returns the part of a page from a heading to the next one of any level,
// or fails.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, after, ok := strings.Cut(page, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("no heading %q", heading)
	}
	text, _, _ := strings.Cut(after, "\n#")
	return text
}

// TestReadmeLength bounds what a newcomer is given to read and to load.
func TestReadmeLength(t *testing.T) {
	if n := strings.Count(read(t, "README.md"), "\n"); n > 110 {
		t.Errorf("README.md has %d lines, more than 110", n)
	}
	picture := read(t, "docs/images/examples.png")
	if len(picture) >= 200_000 {
		t.Errorf("the picture has %d bytes", len(picture))
	}
	if _, err := png.DecodeConfig(bytes.NewReader([]byte(picture))); err != nil {
		t.Error(err)
	}
}

// TestBadges compares the badges with what they state.
func TestBadges(t *testing.T) {
	for badge, source := range map[string]struct {
		file    string
		pattern string // the submatch stands in the badge
	}{
		"go":       {"go.mod", `(?m)^go (\d+\.\d+)`},
		"license":  {"LICENSE", `^(\w+) License`},
		"autobahn": {"autobahn/README.md", `has (\d+ OK) and \d+ INFORMATIONAL`},
	} {
		m := regexp.MustCompile(source.pattern).FindStringSubmatch(read(t, source.file))
		if m == nil {
			t.Errorf("%s does not match %s", source.file, source.pattern)
			continue
		}
		if !strings.Contains(read(t, "docs/images/"+badge+".svg"), m[1]) {
			t.Errorf("the badge %s lacks %q of %s", badge, m[1], source.file)
		}
	}
}

// TestReadmeNumbers looks for the numbers of README.md in the results of the
// benchmarks, and for sizes in docs/many-connections.md.
func TestReadmeNumbers(t *testing.T) {
	text := section(t, read(t, "README.md"), "## How fast")
	results := strings.ReplaceAll(read(t, "bench/results/results.md"), "*", "")
	cells := regexp.MustCompile(`([\d.,]+) \(([\d.,]+–[\d.,]+)\)`)
	servers := []string{"ours", "ours-loop", "gorilla", "gobwas", "nbio-loop"}
	rows := 0
	for line := range strings.Lines(text) {
		found := cells.FindAllStringSubmatch(line, -1)
		if found == nil {
			continue
		}
		rows++
		name := line[len("| "):strings.Index(line, ":")]
		if strings.HasPrefix(name, "Memory") {
			name += ": idle"
		}
		spread := section(t, results, "### "+name)
		if len(found) != len(servers) {
			t.Errorf("%s: %d numbers, not %d", name, len(found), len(servers))
			continue
		}
		for i, server := range servers {
			row := regexp.MustCompile(`(?m)^\| ` + server + `(?: ★)? \| ` + regexp.QuoteMeta(found[i][1]+" | "+found[i][2]) + ` \|`)
			if !row.MatchString(spread) {
				t.Errorf("%s, %s: %s is not in the results", name, server, found[i][0])
			}
		}
	}
	if rows != 5 {
		t.Errorf("%d rows with numbers, not 5", rows)
	}

	sizes := regexp.MustCompile(`[\d,]+ B (?:in the clear|over TLS)`).FindAllString(text, -1)
	if len(sizes) != 2 {
		t.Errorf("%d sizes with default settings, not 2", len(sizes))
	}
	measured := section(t, read(t, "docs/many-connections.md"), "## What one connection costs")
	for _, size := range sizes {
		number, _, _ := strings.Cut(size, " ")
		if !strings.Contains(measured, "| "+number+" B |") {
			t.Errorf("docs/many-connections.md does not have %s B", number)
		}
	}
}
