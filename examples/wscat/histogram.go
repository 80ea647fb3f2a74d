package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// histogram counts times in classes, each of which is 10 % wider than the one
// before. So it takes the same memory however many there are, and a quantile is
// off by 5 % at most. The zero value is ready to use.
type histogram struct {
	counts [classes]uint64
	total  uint64
	sum    time.Duration
	max    time.Duration
}

const (
	classes = 200
	least   = time.Microsecond // the upper end of the first class
	growth  = 1.1
)

// classOf returns the class of a time. The last one has all that are longer.
func classOf(d time.Duration) int {
	if d <= least {
		return 0
	}
	c := int(math.Ceil(math.Log(float64(d)/float64(least)) / math.Log(growth)))
	return min(c, classes-1)
}

// upperEnd is the longest time of a class.
func upperEnd(class int) time.Duration {
	return time.Duration(float64(least) * math.Pow(growth, float64(class)))
}

func (h *histogram) add(d time.Duration) {
	h.counts[classOf(d)]++
	h.total++
	h.sum += d
	h.max = max(h.max, d)
}

// merge adds the counts of another histogram.
func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

func (h *histogram) mean() time.Duration {
	if h.total == 0 {
		return 0
	}
	return h.sum / time.Duration(h.total)
}

// quantile returns a time that the given part of all times, from 0 to 1, does not
// exceed.
func (h *histogram) quantile(part float64) time.Duration {
	left := uint64(math.Ceil(part * float64(h.total)))
	for c, n := range h.counts {
		if n >= left {
			return min(upperEnd(c), h.max)
		}
		left -= n
	}
	return h.max
}

const (
	rows     = 16
	barWidth = 40
)

// print prints the quantiles and a bar for each row of classes.
func (h *histogram) print(w io.Writer) {
	if h.total == 0 {
		return
	}
	fmt.Fprintf(w, "  mean %s", short(h.mean()))
	for _, q := range []struct {
		name string
		part float64
	}{{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p99.9", .999}} {
		fmt.Fprintf(w, "   %s %s", q.name, short(h.quantile(q.part)))
	}
	fmt.Fprintf(w, "   max %s\n\n", short(h.max))

	first, last := 0, classOf(h.max)
	for h.counts[first] == 0 {
		first++
	}
	per := (last-first)/rows + 1 // classes in a row
	var bars []uint64
	for c := first; c <= last; c += per {
		var n uint64
		for _, count := range h.counts[c:min(c+per, last+1)] {
			n += count
		}
		bars = append(bars, n)
	}
	most := uint64(1)
	for _, n := range bars {
		most = max(most, n)
	}
	for i, n := range bars {
		end := upperEnd(first + (i+1)*per - 1)
		bar := strings.Repeat("█", int((n*barWidth+most-1)/most)) // one that is not empty is seen
		fmt.Fprintf(w, "  ≤ %7s %9d  %s\n", short(end), n, bar)
	}
}
