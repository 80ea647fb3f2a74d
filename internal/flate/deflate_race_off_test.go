//go:build !race

package flate

const encodeRaced = false
