package load

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are 1/16 wide of what they hold,
// so that recording one neither allocates nor searches.
type histogram struct {
	n      int64
	bucket [64 * 16]int64
}

func (h *histogram) reset() { *h = histogram{} }

func (h *histogram) add(d time.Duration) {
	h.n++
	h.bucket[bucketOf(uint64(max(d, 0)))]++
}

// bucketOf gives values under 16 a bucket each, and cuts every power of two
// above into 16.
func bucketOf(v uint64) int {
	if v < 16 {
		return int(v)
	}
	shift := bits.Len64(v) - 5
	return (shift+1)*16 + int(v>>shift) - 16
}

// middleOf is the middle of a bucket.
func middleOf(i int) uint64 {
	if i < 16 {
		return uint64(i)
	}
	shift := i/16 - 1
	return uint64(i%16+16)<<shift + (1<<shift)/2
}

// quantile returns the value under which the share q of all values lies,
// to within 1/32, or 0 if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int64(q * float64(h.n))
	for i, n := range h.bucket {
		if rank -= n; rank < 0 {
			return time.Duration(middleOf(i))
		}
	}
	return 0
}
