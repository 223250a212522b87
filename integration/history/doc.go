// Package history holds what clients saw of a database against what databases may do: no acknowledged write is lost, registers are
// linearizable (porcupine), and transactions that append to lists are serializable. Tests of failures share it.
package history

// Fate is what a client knows of its write.
type Fate int

// The fates.
const (
	Done    Fate = iota // acknowledged
	Undone              // it surely had no effect
	Unknown             // it may take effect at any time, or never
)
