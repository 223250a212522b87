package pgcluster

import (
	"os"
	"testing"
)

// ForTest makes and starts a cluster that ends with the test. The nodes' logs are
// shown if the test failed.
func ForTest(t testing.TB, options Options) *Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "howdah-pg-")
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for i := range c.Nodes() {
				t.Logf("log of node %d ends with: %s", i, lastLines(c.Log(i), 3))
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}
