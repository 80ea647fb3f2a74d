// Package docs checks the pages of this repository. Every go block is a complete
// program, which is vetted, or lines of a Go file of this repository, which is vetted
// elsewhere. So is each side of a diff. Every link within the repository leads
// somewhere, and every Go file and test that a page names exists.
package docs

import (
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = ".."

// block is a fenced block of code in a page.
type block struct {
	page string
	line int // of the fence
	lang string
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// isProgram reports whether b is a whole Go file.
func (b block) isProgram() bool {
	for line := range strings.Lines(b.text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			return strings.HasPrefix(line, "package ")
		}
	}
	return false
}

// pages returns all pages of the repository, by their paths from this folder.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	walk(t, func(path string) {
		if filepath.Ext(path) == ".md" {
			found = append(found, path)
		}
	})
	if len(found) == 0 {
		t.Fatal("no pages")
	}
	return found
}

// walk calls f with the path of each file of the repository, from this folder.
func walk(t *testing.T, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		hidden := path != root && strings.HasPrefix(d.Name(), ".") && d.Name() != ".github"
		switch {
		case err != nil:
			return err
		case d.IsDir() && hidden:
			return filepath.SkipDir
		case d.IsDir() || hidden:
			return nil
		}
		if path, err = filepath.Rel(filepath.Join(root, "docs"), path); err == nil {
			f(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// blocksOf returns the blocks of code in a page. It fails if a fence is not
// closed.
func blocksOf(t *testing.T, page string) []block {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	var open *block
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && open == nil:
			open = &block{page: page, line: number, lang: fence}
		case isFence:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		t.Errorf("%v: the block does not end", open)
	}
	return blocks
}

func allBlocks(t *testing.T) []block {
	t.Helper()
	var all []block
	for _, page := range pages(t) {
		all = append(all, blocksOf(t, page)...)
	}
	return all
}

// TestPrograms vets the complete programs.
func TestPrograms(t *testing.T) {
	found := 0
	for _, b := range allBlocks(t) {
		if b.lang != "go" || !b.isProgram() {
			continue
		}
		found++
		t.Run(fmt.Sprintf("%s line %d", filepath.Base(b.page), b.line), func(t *testing.T) {
			name := "main.go"
			if strings.Contains(b.text, `"testing"`) {
				name = "main_test.go"
			}
			path := filepath.Join(t.TempDir(), name)
			// The compiler then names the page and the line.
			text := fmt.Sprintf("//line %s:%d\n%s", b.page, b.line+1, b.text)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "go", "vet", path).CombinedOutput(); err != nil {
				t.Errorf("go vet: %v\n%s", err, out)
			}
			if formatted, err := format.Source([]byte(b.text)); err != nil || string(formatted) != b.text {
				t.Errorf("%v is not formatted: %v", b, err)
			}
		})
	}
	if found == 0 {
		t.Error("there are no programs")
	}
}

// TestExcerpts looks for all other code in the Go files of the repository. A
// line that is "..." stands for any lines, one that begins with "@@" in a diff
// for any file.
func TestExcerpts(t *testing.T) {
	sources := goFiles(t)
	for _, b := range allBlocks(t) {
		if b.lang == "go" && b.isProgram() {
			sources[b.String()] = normalize(b.text)
		}
	}
	found := 0
	for _, b := range allBlocks(t) {
		var excerpts []string
		switch {
		case b.lang == "go" && !b.isProgram():
			excerpts = []string{b.text}
		case b.lang == "diff":
			for _, hunk := range hunkLine.Split(b.text, -1) {
				if hunk != "" { // before the first line of that kind
					excerpts = append(excerpts, side(hunk, "-"), side(hunk, "+"))
				}
			}
		}
		for _, excerpt := range excerpts {
			found++
			if !isExcerpt(sources, excerpt) {
				t.Errorf("%v: no Go file has\n%s", b, excerpt)
			}
		}
	}
	if found == 0 {
		t.Error("there are no excerpts")
	}
}

var hunkLine = regexp.MustCompile(`(?m)^@@.*\n`)

// side returns one side of a diff, - or +.
func side(diff, sign string) string {
	var s strings.Builder
	for line := range strings.Lines(diff) {
		if strings.HasPrefix(line, sign) || strings.HasPrefix(line, " ") {
			s.WriteString(line[1:])
		} else if line == "\n" {
			s.WriteString(line)
		}
	}
	return s.String()
}

// isExcerpt reports whether the pieces of text, which lines that are "..."
// separate, stand in one of the sources in that order.
func isExcerpt(sources map[string]string, text string) bool {
	pieces := strings.Split(normalize(text), "\n...\n")
next:
	for _, source := range sources {
		for _, piece := range pieces {
			_, behind, ok := strings.Cut(source, "\n"+strings.Trim(piece, "\n")+"\n")
			if !ok {
				continue next
			}
			source = "\n" + behind
		}
		return true
	}
	return false
}

// normalize removes empty lines and the white space at both ends of a line.
func normalize(text string) string {
	s := "\n"
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			s += line + "\n"
		}
	}
	return s
}

// goFiles returns the Go files of the repository, normalized.
func goFiles(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	walk(t, func(path string) {
		if filepath.Ext(path) != ".go" {
			return
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = normalize(string(text))
	})
	return files
}

// TestProxies compares the settings of proxies with those that the tests in
// internal/interop use, which may have something else in the place of a time or
// an address.
func TestProxies(t *testing.T) {
	verb := regexp.MustCompile(`%\\\[\d\\\]\w+`) // %[1]s, quoted
	for lang, file := range map[string]string{
		"nginx":   "nginx_test.go",
		"haproxy": "proxy_test.go",
	} {
		text, err := os.ReadFile(filepath.Join(root, "internal", "interop", file))
		if err != nil {
			t.Fatal(err)
		}
		var tested []string
		for line := range strings.Lines(string(text)) {
			tested = append(tested, verb.ReplaceAllString(regexp.QuoteMeta(strings.TrimSpace(line)), `\S+`))
		}
		pattern := regexp.MustCompile(`^(?:` + strings.Join(tested, "|") + `)$`)
		found := 0
		for _, b := range blocksOf(t, "proxies.md") {
			if b.lang != lang {
				continue
			}
			for line := range strings.Lines(b.text) {
				line = strings.TrimSpace(line)
				if strings.HasPrefix(line, "bind ") {
					continue // the tests have a listening socket instead
				}
				found++
				if !pattern.MatchString(line) {
					t.Errorf("%v: %s does not have %q", b, file, line)
				}
			}
		}
		if found == 0 {
			t.Errorf("proxies.md has no settings of %s", lang)
		}
	}
}

// TestIndex wants every page to be linked in README.md of this folder.
func TestIndex(t *testing.T) {
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages(t) {
		if page != "README.md" && filepath.Dir(page) == "." && !strings.Contains(string(index), "("+page+")") {
			t.Errorf("docs/README.md does not link %s", page)
		}
	}
}
