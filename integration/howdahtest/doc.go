// Package howdahtest runs the built howdah binary for tests: it builds it once per
// test process, with the race detector, writes a configuration, starts
// `howdah serve`, and at the end stops it with SIGTERM and looks whether it ended
// cleanly and wrote of no race or panic.
package howdahtest
