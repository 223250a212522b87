package main

import (
	"math"
	"testing"
)

var nan = math.NaN()

// same is equality to nine digits in which NaN equals NaN.
func same(a, b float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-9
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		values []float64
		want   float64
	}{
		"none":              {nil, nan},
		"one":               {[]float64{3}, 3},
		"odd, unsorted":     {[]float64{9, 1, 5}, 5},
		"even":              {[]float64{4, 1, 2, 3}, 2.5},
		"unmeasured is out": {[]float64{nan, 7, nan}, 7},
		"all unmeasured":    {[]float64{nan}, nan},
	} {
		if got := median(row.values); !same(got, row.want) {
			t.Errorf("%s: got %v, want %v", name, got, row.want)
		}
	}
}

func TestMedianLeavesItsArgumentAlone(t *testing.T) {
	t.Parallel()
	values := []float64{3, 1, 2}
	median(values)
	if values[0] != 3 || values[1] != 1 || values[2] != 2 {
		t.Errorf("the rounds were reordered to %v; ratios by round would be wrong", values)
	}
}

func TestMedianRatio(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		values, base []float64
		want         float64
	}{
		"a slow round divides out": {[]float64{10, 40, 10}, []float64{20, 80, 20}, 0.5},
		"no base":                  {[]float64{10}, nil, nan},
		"base not measured":        {[]float64{10}, []float64{nan}, nan},
		"base zero":                {[]float64{10, 6}, []float64{0, 3}, 2},
	} {
		if got := medianRatio(row.values, row.base); !same(got, row.want) {
			t.Errorf("%s: got %v, want %v", name, got, row.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, row := range []struct {
		samples []float64
		p, want float64
	}{
		{nil, 99, nan},
		{[]float64{5}, 99, 5},
		{hundred, 99, 99},
		{hundred, 50, 50},
		{hundred, 100, 100},
		{[]float64{2, 1}, 99, 2},
	} {
		if got := percentile(row.samples, row.p); !same(got, row.want) {
			t.Errorf("p%v of %d samples: got %v, want %v", row.p, len(row.samples), got, row.want)
		}
	}
}

func TestConfidence(t *testing.T) {
	t.Parallel()
	upTo := func(n int) (values []float64) {
		for i := range n {
			values = append(values, float64(n-i))
		}
		return append(values, nan)
	}
	// The ranks are those of the tables of the sign test.
	for n, want := range map[int][2]float64{0: {nan, nan}, 5: {nan, nan}, 6: {1, 6}, 8: {1, 8}, 9: {2, 8}, 20: {6, 15}, 30: {10, 21}, 100: {40, 61}} {
		if low, high := confidence(upTo(n)); !same(low, want[0]) || !same(high, want[1]) {
			t.Errorf("%d values: got the %v. to %v. smallest, want %v", n, low, high, want)
		}
	}
}

func TestSettled(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		readings []int64
		want     bool
	}{
		"too few":         {[]int64{100, 100}, false},
		"at rest":         {[]int64{500, 1000, 1001, 1000, 1002, 1000, 1001}, true},
		"still shrinking": {[]int64{1100, 1080, 1060, 1040, 1020, 1000}, false},
	} {
		if got := settled(row.readings); got != row.want {
			t.Errorf("%s: got %v, want %v", name, got, row.want)
		}
	}
}
