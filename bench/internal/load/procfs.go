package load

import (
	"bytes"
	"fmt"
	"strconv"
)

// parseResident finds the line "Rss: 1234 kB" of a smaps_rollup file.
func parseResident(text []byte) (int64, error) {
	n, err := field(text, "Rss:")
	return n << 10, err
}

// parseWriteCalls finds the line "syscw: 1234" of an io file.
func parseWriteCalls(text []byte) (int64, error) { return field(text, "syscw:") }

// field returns the number after a name at the start of a line of a proc file.
func field(text []byte, name string) (int64, error) {
	for line := range bytes.Lines(text) {
		if f := bytes.Fields(line); len(f) >= 2 && string(f[0]) == name {
			return strconv.ParseInt(string(f[1]), 10, 64)
		}
	}
	return 0, fmt.Errorf("there is no line %q in %.60q", name, text)
}
