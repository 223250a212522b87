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
func medianRatio(values, base []float64) float64 {
	n := min(len(values), len(base))
	ratios := make([]float64, 0, n)
	for i := range n {
		if base[i] != 0 {
			ratios = append(ratios, values[i]/base[i])
		}
	}
	return median(ratios)
}

// spread is half the range of the middle half of the values relative to their median: 0.05
// says that every second round was within about 5 % of it.
func spread(values []float64) float64 {
	s := measured(values)
	m := median(s)
	if len(s) < 2 || m == 0 {
		return math.NaN()
	}
	return (percentile(s, 75) - percentile(s, 25)) / 2 / m
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
