package main

import (
	"math"
	"slices"
)

// median is the middle value, or the mean of the two middle ones. NaN values
// (not measured) are left out; without any value it is NaN.
func median(values []float64) float64 {
	s := measured(values)
	if len(s) == 0 {
		return math.NaN()
	}
	slices.Sort(s)
	mid := len(s) / 2
	if len(s)%2 == 1 {
		return s[mid]
	}
	return (s[mid-1] + s[mid]) / 2
}

// medianRatio is the median of value/base taken round by round: both were
// measured within seconds of each other, so a slow minute of the machine
// divides out, which it would not do in the ratio of two medians.
func medianRatio(values, base []float64) float64 { return median(ratios(values, base)) }

func ratios(values, base []float64) []float64 {
	n := min(len(values), len(base))
	ratios := make([]float64, 0, n)
	for i := range n {
		if base[i] != 0 {
			ratios = append(ratios, values[i]/base[i])
		}
	}
	return ratios
}

// confidence is where the median of what the values are a sample of lies, in 95 % of cases or more, whatever their distribution (the sign
// test's confidence interval). With fewer than six values nothing can be said so surely; then both are NaN.
func confidence(values []float64) (low, high float64) {
	s := measured(values)
	slices.Sort(s)
	// The median is below the k-th smallest value if fewer than k of n values are below the median: as likely as fewer than k heads in n throws.
	n, k := len(s), 0
	fewer, chance := 0.0, math.Exp2(-float64(n)) // of at most k heads, and of exactly k
	for fewer += chance; 2*fewer <= 0.05; fewer += chance {
		k++
		chance *= float64(n-k+1) / float64(k)
	}
	if k == 0 {
		return math.NaN(), math.NaN()
	}
	return s[k-1], s[n-k]
}

// percentile is the nearest-rank percentile (p in 0..100]. It sorts samples.
func percentile(samples []float64, p float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	slices.Sort(samples)
	rank := int(math.Ceil(p / 100 * float64(len(samples))))
	return samples[max(rank, 1)-1]
}

func measured(values []float64) []float64 {
	s := make([]float64, 0, len(values))
	for _, v := range values {
		if !math.IsNaN(v) {
			s = append(s, v)
		}
	}
	return s
}
