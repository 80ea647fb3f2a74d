package report

import "slices"

// Metric is a series of samples and its reported figures.
type Metric struct {
	Median, Min, Max float64
	Q1, Q3           float64   // the middle half of the samples lies between them
	Samples          []float64 // in the order in which they were taken
}

// NewMetric describes the samples, of which there must be one at least.
func NewMetric(samples []float64) Metric {
	s := slices.Sorted(slices.Values(samples))
	return Metric{
		Median: quantile(s, 0.5), Min: s[0], Max: s[len(s)-1],
		Q1: quantile(s, 0.25), Q3: quantile(s, 0.75),
		Samples: samples,
	}
}

// quantile interpolates between the two neighbours in sorted.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// apart reports whether the middle halves of two metrics do not touch. Only then one
// of them is called less than the other.
func apart(a, b Metric) bool { return a.Q3 < b.Q1 || b.Q3 < a.Q1 }
