//go:build !(amd64 || arm64) || purego || race

package websocket

// longMasks is every xorLong that this machine can run.
func longMasks() map[string]func(dst, src []byte, k uint64) {
	return map[string]func(dst, src []byte, k uint64){"words": xorLong}
}
