//go:build race

package proxy_test

// raceDetector: under it sync.Pool forgets at random, so allocations cannot be counted.
const raceDetector = true
