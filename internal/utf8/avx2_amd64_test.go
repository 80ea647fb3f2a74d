//go:build !purego

package utf8

func init() {
	if !hasAVX512 {
		return // it is chosen
	}
	implementations = append(implementations, implementation{"AVX2", func(v *Validator, p []byte) bool {
		hasAVX512 = false
		defer func() { hasAVX512 = true }()
		return v.Write(p)
	}})
}
