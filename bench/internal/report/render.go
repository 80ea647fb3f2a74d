package report

// File is a rendered file.
type File struct {
	Name string
	Text []byte
}

// Render makes the Markdown, in full and as a summary, and a plot for each
// group of scenarios.
func Render(r *Results) []File {
	files := []File{{"results.md", Markdown(r)}, {"summary.md", Summary(r)}}
	seen := make(map[string]bool)
	for _, sc := range r.Scenarios {
		if seen[sc.Group] {
			continue
		}
		seen[sc.Group] = true
		if svg := Plot(r, sc.Group); svg != nil {
			files = append(files, File{sc.Group + ".svg", svg})
		}
	}
	return files
}
