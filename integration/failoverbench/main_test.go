package main

import (
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	slow := &outcome{name: "slow", pauses: []time.Duration{21 * time.Second, 2 * time.Second}, errors: 3, disconnected: 16}
	fast := &outcome{name: "fast", pauses: []time.Duration{800 * time.Millisecond, 250 * time.Millisecond, 700 * time.Millisecond}}
	want := `| | kills | median | p90 | p99 | longest | errors | disconnections | acknowledged and lost |
|---|---|---|---|---|---|---|---|---|
| fast | 3 | 700ms | 800ms | 800ms | 800ms | 0 | 0 | 0 |
| slow | 2 | 21s | 21s | 21s | 21s | 3 | 16 | 0 |

| pause of writes | fast | slow |
|---|---|---|
| 250ms to 500ms | 1 | 0 |
| 500ms to 1s | 2 | 0 |
| 2s to 3s | 0 | 1 |
| 20s to 1m0s | 0 | 1 |
`
	if got := table([]*outcome{fast, slow}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
