package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link       = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
	elsewhere  = regexp.MustCompile(`^(?:https?|mailto):`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	inlineCode = regexp.MustCompile("`[^`\n]*`")
)

// prose returns a page without its blocks of code.
func prose(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	inBlock := false
	for line := range strings.Lines(string(text)) {
		isFence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if !isFence && !inBlock && !strings.HasPrefix(line, "    ") {
			s.WriteString(line)
		}
		inBlock = inBlock != isFence
	}
	return s.String()
}

// TestLinks follows the links to files of the repository, and to headings in
// pages.
func TestLinks(t *testing.T) {
	found := 0
	for _, page := range pages(t) {
		text := inlineCode.ReplaceAllString(prose(t, page), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if elsewhere.MatchString(m[1]) {
				continue
			}
			found++
			target := page
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(page), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", page, err)
			} else if m[2] != "" && !anchors(t, target)[m[2]] {
				t.Errorf("%s: %s has no heading %s", page, target, m[2])
			}
		}
	}
	if found == 0 {
		t.Error("there are no links")
	}
}

// anchors returns the anchors of a page, such as #two-words. A heading that is there
// before gets a number.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(prose(t, page), -1) {
		slug := notInSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		slug = "#" + strings.ReplaceAll(slug, " ", "-")
		anchor := slug
		for i := 1; found[anchor]; i++ {
			anchor = fmt.Sprintf("%s-%d", slug, i)
		}
		found[anchor] = true
	}
	return found
}

// TestNames looks for the Go files and the tests that pages name. A file may be given
// by a pattern, and with the end of its path.
func TestNames(t *testing.T) {
	var files []string
	tests := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
	walk(t, func(path string) {
		if filepath.Ext(path) != ".go" {
			return
		}
		files = append(files, filepath.ToSlash(path))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllSubmatch(text, -1) {
			tests[string(m[1])] = true
		}
	})
	exists := func(pattern string) bool {
		for _, file := range files {
			tail := strings.Split(file, "/")
			tail = tail[max(0, len(tail)-strings.Count(pattern, "/")-1):]
			if ok, err := filepath.Match(pattern, strings.Join(tail, "/")); err != nil {
				t.Fatal(err)
			} else if ok {
				return true
			}
		}
		return false
	}
	isExample := regexp.MustCompile(`\bx\.go$|_x\.go$`) // of changes that CONTRIBUTING.md describes
	isFile := regexp.MustCompile(`^[\w*./-]+\.go$`)
	isTest := regexp.MustCompile(`^(?:Test|Fuzz|Benchmark|Example)[A-Z]\w*$`)
	found := 0
	for _, page := range pages(t) {
		for _, code := range inlineCode.FindAllString(prose(t, page), -1) {
			name := strings.Trim(code, "`")
			switch {
			case isFile.MatchString(name) && !isExample.MatchString(name):
				found++
				if !exists(name) {
					t.Errorf("%s: there is no file %s", page, name)
				}
			case isTest.MatchString(name):
				found++
				if !tests[name] {
					t.Errorf("%s: there is no test %s", page, name)
				}
			}
		}
	}
	if found == 0 {
		t.Error("there are no names")
	}
}
