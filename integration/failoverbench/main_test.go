package main

import (
	"slices"
	"testing"
	"time"
)

func TestContenders(t *testing.T) {
	got, err := contenders("howdah,pgpool:7", 50)
	if want := []contender{{"howdah", 50}, {"pgpool", 7}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, wrong := range []string{"", "howdah:", "howdah:many", "howdah:0", ":3"} {
		if got, err := contenders(wrong, 50); err == nil {
			t.Errorf("%q is %v", wrong, got)
		}
	}
}

func TestTable(t *testing.T) {
	slow := &outcome{name: "slow", pauses: []time.Duration{21 * time.Second, 2 * time.Second}, stuck: 1, errors: 3, disconnected: 16}
	fast := &outcome{name: "fast", pauses: []time.Duration{800 * time.Millisecond, 250 * time.Millisecond, 700 * time.Millisecond}}
	want := `| | kills | median | p90 | p99 | longest | stuck | errors | disconnections | acknowledged and lost |
|---|---|---|---|---|---|---|---|---|---|
| fast | 3 | 700ms | 800ms | 800ms | 800ms | 0 | 0 | 0 | 0 |
| slow | 2 | 21s | 21s | 21s | 21s | 1 | 3 | 16 | 0 |

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
