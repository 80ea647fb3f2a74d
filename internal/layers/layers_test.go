package layers

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the folder of the package that is checked.
const root = "../.."

// A layer is a row of the table of layers in ARCHITECTURE.md.
type layer struct {
	name     string
	patterns []string // of its files
}

// layerBuilds are the builds that are checked. Together they take every file.
var layerBuilds = []build.Context{
	{GOOS: "linux", GOARCH: "amd64"},
	{GOOS: "linux", GOARCH: "arm64", BuildTags: []string{"wsdebug"}},
	{GOOS: "darwin", GOARCH: "arm64"},
	{GOOS: "windows", GOARCH: "amd64", BuildTags: []string{"purego"}},
	{GOOS: "plan9", GOARCH: "amd64"},
}

// upwardUses are the uses of a higher layer that are allowed: by the declaration
// of the first name, of what the second one names.
var upwardUses = map[[2]string]bool{
	{"Trace", "Conn"}: true, // its hooks are told which connection it is
}

// TestLayers holds the package against the table of layers in ARCHITECTURE.md: each
// file is in one row, and uses only what its own row and those below declare.
func TestLayers(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(root, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = string(src)
	}
	problems, uses := checkLayers(string(text), files)
	for _, p := range problems {
		t.Error(p)
	}
	if uses < 20*len(files) {
		t.Errorf("only %d uses across files were seen in %d files: types were not resolved", uses, len(files))
	}
}

// parseLayers returns the layers of the table in text, the lowest one first. The
// table has the highest first, and the files in its second column.
func parseLayers(text string) []layer {
	var layers []layer
	inside := false
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		switch {
		case len(cells) < 4:
			inside = false
		case strings.TrimSpace(cells[1]) == "layer" && strings.TrimSpace(cells[2]) == "files":
			inside = true
		case inside && !strings.HasPrefix(strings.TrimSpace(cells[1]), "---"):
			l := layer{name: strings.TrimSpace(cells[1])}
			for _, word := range strings.Fields(cells[2]) {
				if p := strings.Trim(word, "`,"); strings.HasSuffix(p, ".go") {
					l.patterns = append(l.patterns, p)
				}
			}
			layers = append(layers, l)
		}
	}
	slices.Reverse(layers)
	return layers
}

// checkLayers returns what is wrong with files, from their names to their sources,
// by the table in text, and how many uses of another file's declarations it has
// looked at.
func checkLayers(text string, files map[string]string) (problems []string, uses int) {
	layers := parseLayers(text)
	if len(layers) == 0 {
		return []string{"there is no table of layers"}, 0
	}
	heights, problems := layerOf(layers, files)
	c := &layerChecker{layers: layers, heights: heights, fset: token.NewFileSet(),
		found: make(map[string]bool), allowed: make(map[[2]string]bool), imported: make(map[string]*types.Package)}
	parsed := make(map[string]*ast.File)
	for name, src := range files {
		file, err := parser.ParseFile(c.fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			return append(problems, err.Error()), 0
		}
		parsed[name] = file
	}
	taken := make(map[string]bool)
	for _, ctx := range layerBuilds {
		ctx.Compiler = "gc"
		ctx.OpenFile = func(name string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(files[name])), nil
		}
		var chosen []*ast.File
		for name := range files {
			ok, err := ctx.MatchFile("", name)
			if err != nil {
				problems = append(problems, err.Error())
			}
			if ok {
				taken[name] = true
				chosen = append(chosen, parsed[name])
			}
		}
		if err := c.check(chosen); err != nil {
			problems = append(problems, err.Error())
		}
	}
	for name := range files {
		if !taken[name] {
			problems = append(problems, fmt.Sprintf("%s: in none of the builds that are checked", name))
		}
	}
	for use := range upwardUses {
		if !c.allowed[use] {
			problems = append(problems, fmt.Sprintf("%s does not use %s any more, and need not be allowed to", use[0], use[1]))
		}
	}
	for p := range c.found {
		problems = append(problems, p)
	}
	slices.Sort(problems)
	return problems, c.uses
}

// layerOf returns the height of each file's layer, and what is wrong with the
// table.
func layerOf(layers []layer, files map[string]string) (heights map[string]int, problems []string) {
	heights = make(map[string]int)
	for height, l := range layers {
		if len(l.patterns) == 0 {
			problems = append(problems, fmt.Sprintf("layer %q has no files", l.name))
		}
		for _, pattern := range l.patterns {
			matched := false
			for name := range files {
				ok, err := path.Match(pattern, name)
				if err != nil {
					problems = append(problems, fmt.Sprintf("layer %q: %q: %v", l.name, pattern, err))
				}
				if !ok {
					continue
				}
				matched = true
				if other, ok := heights[name]; ok {
					problems = append(problems, fmt.Sprintf("%s is named twice, in layers %q and %q", name, layers[other].name, l.name))
				}
				heights[name] = height
			}
			if !matched {
				problems = append(problems, fmt.Sprintf("layer %q: there is no file %s", l.name, pattern))
			}
		}
	}
	for name := range files {
		if _, ok := heights[name]; !ok {
			problems = append(problems, fmt.Sprintf("%s: in no layer of ARCHITECTURE.md", name))
		}
	}
	return heights, problems
}

// layerChecker looks at one build after the other.
type layerChecker struct {
	layers  []layer
	heights map[string]int
	fset    *token.FileSet

	found    map[string]bool // problems
	allowed  map[[2]string]bool
	uses     int // of other files' declarations, that were looked at
	imported map[string]*types.Package
}

// check finds the uses of files of one build. The package is not compiled, so
// that what comes from other packages may be unknown: that is no error.
func (c *layerChecker) check(files []*ast.File) error {
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	cfg := types.Config{Importer: c, Error: func(error) {}}
	pkg, _ := cfg.Check("websocket", c.fset, files, info)
	if pkg == nil {
		return errors.New("the package cannot be checked")
	}
	for _, file := range files {
		for _, decl := range file.Decls {
			for _, part := range declParts(decl) {
				ast.Inspect(part.node, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						if used := info.Uses[id]; used != nil && used.Pkg() == pkg {
							c.use(part.name, id, used)
						}
					}
					return true
				})
			}
		}
	}
	return nil
}

// declPart is a declaration, or one of several in parentheses.
type declPart struct {
	name string
	node ast.Node
}

func declParts(decl ast.Decl) []declPart {
	gen, ok := decl.(*ast.GenDecl)
	if !ok {
		return []declPart{{decl.(*ast.FuncDecl).Name.Name, decl}}
	}
	var parts []declPart
	for _, spec := range gen.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			parts = append(parts, declPart{spec.Name.Name, spec})
		case *ast.ValueSpec:
			parts = append(parts, declPart{spec.Names[0].Name, spec})
		}
	}
	return parts
}

// use looks at a use of used by the declaration that is named user.
func (c *layerChecker) use(user string, id *ast.Ident, used types.Object) {
	from, to := c.fset.Position(id.Pos()), c.fset.Position(used.Pos())
	if from.Filename == to.Filename || !used.Pos().IsValid() {
		return
	}
	c.uses++
	low, known := c.heights[from.Filename]
	high, knownToo := c.heights[to.Filename]
	if !known || !knownToo || low >= high {
		return
	}
	if use := [2]string{user, used.Name()}; upwardUses[use] {
		c.allowed[use] = true
		return
	}
	c.found[fmt.Sprintf("%s:%d: %s, in layer %q, uses %s (%s:%d), in the higher layer %q",
		from.Filename, from.Line, user, c.layers[low].name, used.Name(), to.Filename, to.Line, c.layers[high].name)] = true
}

// sourceImports are packages that are read, because what they return is often of a
// type of ours. Of all others nothing is known but their names.
var sourceImports = []string{"sync/atomic", "weak", "slices", "maps", "iter"}

// Import implements [types.Importer].
func (c *layerChecker) Import(name string) (*types.Package, error) {
	if name == "unsafe" {
		return types.Unsafe, nil
	}
	if pkg := c.imported[name]; pkg != nil {
		return pkg, nil
	}
	if slices.Contains(sourceImports, name) {
		pkg, err := c.importSource(name)
		c.imported[name] = pkg
		return pkg, err
	}
	pkg := types.NewPackage(name, path.Base(name))
	pkg.MarkComplete()
	c.imported[name] = pkg
	return pkg, nil
}

// importSource reads the declarations of a package of the standard library.
func (c *layerChecker) importSource(name string) (*types.Package, error) {
	dir := filepath.Join(build.Default.GOROOT, "src", filepath.FromSlash(name))
	found, err := build.Default.ImportDir(dir, 0)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, file := range found.GoFiles {
		f, err := parser.ParseFile(c.fset, filepath.Join(dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	cfg := types.Config{Importer: c, IgnoreFuncBodies: true, Error: func(error) {}}
	pkg, _ := cfg.Check(name, c.fset, files, nil)
	if pkg == nil {
		return nil, fmt.Errorf("package %s: %w", name, fs.ErrInvalid)
	}
	return pkg, nil
}

// The check itself is held against a package of three files, in which one thing at
// a time is wrong.
func TestLayersCheck(t *testing.T) {
	const table = "| layer | files | what is in it |\n|---|---|---|\n| top | `c.go` | |\n| middle | `b.go` `b_windows.go` | |\n| bottom | `a.go` | |\n"
	const a = `package p
import ("net"; "sync/atomic")
type Trace struct {
	Close func(*Conn)
	last *Conn
}
type low struct {
	net.Conn
	next atomic.Pointer[low]
	n int
}
type outer struct{ *low }
type caller interface{ high() }
func (l *low) same(c caller) { c.high(); l.Close() }
`
	const b = `package p
type Conn struct{ low; id int }
func (c *Conn) down() int { return c.n + limit0 }
func (l *low) high() {}
const limit, limit0 = 1, 0
`
	const c = `package p
var top = new(Conn).down()
func over() {}
`
	for _, tt := range []struct {
		name  string
		table string // if not the one above
		file  string // that is changed, "" if none is
		add   string
		want  string // part of the one problem that is found, "" for none
	}{
		{name: "right"},
		{"function", "", "a.go", "func up() { over() }", "up, in layer \"bottom\", uses over (c.go:3)"},
		{"type", "", "a.go", "type up struct{ c *Conn }", `a.go:15: up, in layer "bottom", uses Conn (b.go:2), in the higher layer "middle"`},
		{"other use of Conn", "", "a.go", "func Up(t Trace) { t.Close(new(Conn)) }", "uses Conn (b.go:2)"},
		{"constant", "", "a.go", "var up [limit]int", "up, in layer \"bottom\", uses limit (b.go:5)"},
		{"variable", "", "b.go", "func up() { top++ }", `b.go:6: up, in layer "middle", uses top (c.go:2), in the higher layer "top"`},
		{"method", "", "a.go", "func up(l *low) { l.high() }", "uses high (b.go:4)"},
		{"method of what a container holds", "", "a.go", "func up(l *low) { l.next.Load().high() }", "uses high (b.go:4)"},
		{"method of what is embedded", "", "a.go", "func up(o outer) { o.high() }", "uses high (b.go:4)"},
		{"method of what a function returns", "", "a.go", "func up(o outer) { func() *low { return o.low }().high() }", "uses high (b.go:4)"},
		{"field", "", "a.go", "func up(t Trace) { t.last.id++ }", "uses id (b.go:2)"},
		{"one system only", "", "b_windows.go", "func up() { top++ }", "b_windows.go:2: up"},
		{"file in no layer", "", "d.go", "package p", "d.go: in no layer"},
		{"file in no build", strings.Replace(table, "`b.go`", "`b.go` `b_wasip1.go`", 1), "b_wasip1.go", "package p", "b_wasip1.go: in none of the builds"},
		{"row for no file", table + "| ground | | |\n", "", "", `layer "ground" has no files`},
		{"name of no file", strings.Replace(table, "`a.go`", "`a.go` `z*.go`", 1), "", "", `layer "bottom": there is no file z*.go`},
		{"file in two layers", strings.Replace(table, "`a.go`", "`a.go` `[a].go`", 1), "", "", "is named twice"},
		{"no table", "# Layers\n", "", "", "there is no table"},
		{"no Go", "", "a.go", "func", "a.go:15"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"a.go": a, "b.go": b, "c.go": c, "b_windows.go": "package p\n"}
			if tt.file != "" {
				files[tt.file] += tt.add
			}
			if tt.table == "" {
				tt.table = table
			}
			problems, uses := checkLayers(tt.table, files)
			switch {
			case tt.want == "" && len(problems) == 0 && uses > 0:
			case tt.want != "" && len(problems) == 1 && strings.Contains(problems[0], tt.want):
			default:
				t.Errorf("want one problem with %q, got %d:\n%s", tt.want, len(problems), strings.Join(problems, "\n"))
			}
		})
	}
}
