package load

import (
	"bytes"
	"errors"
	"strconv"
)

// parseResident finds the line "Rss: 1234 kB" of a smaps_rollup file.
func parseResident(text []byte) (int64, error) {
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) == 3 && string(f[0]) == "Rss:" && string(f[2]) == "kB" {
			n, err := strconv.ParseInt(string(f[1]), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("smaps_rollup has no Rss line")
}
