//go:build !purego

package utf8

import "golang.org/x/sys/cpu"

var hasVector = cpu.X86.HasAVX2

// follows reports whether each byte of p but the first three, which it does
// not judge, may follow the three before it. p has at least bulkMin bytes.
//
//go:noescape
func follows(p []byte) bool
