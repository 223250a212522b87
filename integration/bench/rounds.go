package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"
)

// series are one contender's results under one load, a result for each round.
type series []result

func (s series) column(pick func(result) float64) []float64 {
	values := make([]float64, len(s))
	for i, r := range s {
		values[i] = pick(r)
	}
	return values
}

func tpsOf(r result) float64     { return r.tps }
func averageOf(r result) float64 { return r.average }
func p50Of(r result) float64     { return r.p50 }
func p99Of(r result) float64     { return r.p99 }
func tailOf(r result) float64    { return r.p99 / r.p50 }
func cpuOf(r result) float64     { return r.cpu }

// results hold every series by load and contender's name.
type results map[load]map[string]series

// measurer lets the contenders take turns.
type measurer struct {
	bench    pgbench
	proc     procfs
	rounds   int
	progress io.Writer
}

// round has every contender take its turn under every load, and adds what was found to all. They run one after another, and each round
// begins with another one of them: who comes first finds the machine as the load before has left it.
func (m measurer) round(ctx context.Context, field []running, loads []load, round int, all results) error {
	for _, l := range loads {
		if all[l] == nil {
			all[l] = map[string]series{}
		}
		for i := range field {
			c := field[(round+i)%len(field)]
			r, err := m.turn(ctx, c, l)
			if err != nil {
				return c.explain(err)
			}
			all[l][c.name] = append(all[l][c.name], r)
			if l.kind.streams() {
				fmt.Fprintf(m.progress, "%s, round %d/%d: %-10s %5.0f MB/s, CPU %s ms/MB\n", l.title(), round+1, m.rounds, c.name, r.tps, number(r.cpu, 3))
				continue
			}
			fmt.Fprintf(m.progress, "%s, round %d/%d: %-10s %7.0f tps, %6.3f ms, p99 %6.3f ms, CPU %s µs\n",
				l.title(), round+1, m.rounds, c.name, r.tps, r.average, r.p99, number(r.cpu, 1))
		}
	}
	return nil
}

// turn is one run of pgbench. The CPU time is that of its steady part; of a storm, whose logins are what is measured, all of it.
func (m measurer) turn(ctx context.Context, c running, l load) (result, error) {
	before, err := m.cpu(c)
	if err != nil {
		return result{}, err
	}
	if l.kind.streams() {
		return m.streamed(ctx, c, l, before)
	}
	var watch *steady
	if l.kind != kindStorm {
		watch = &steady{cpu: func() (time.Duration, error) { return m.cpu(c) }}
	}
	s, p50, p99, err := m.bench.run(ctx, c.port, l, watch)
	if err != nil {
		return result{}, err
	}
	after, err := m.cpu(c)
	if err != nil {
		return result{}, err
	}
	r := result{tps: s.tps, average: s.average, p50: p50, p99: p99, cpu: math.NaN()}
	switch {
	case c.proc == nil:
	case watch == nil:
		r.cpu = float64(after-before) / float64(time.Microsecond) / float64(s.transactions)
	default:
		r.cpu, err = watch.perTransaction()
	}
	return r, err
}

// streamed is turn for what is measured in bytes.
func (m measurer) streamed(ctx context.Context, c running, l load, before time.Duration) (result, error) {
	bytes, took, err := stream(ctx, c.port, l, m.bench.user, m.bench.database, m.bench.seconds)
	if err != nil {
		return result{}, err
	}
	after, err := m.cpu(c)
	if err != nil {
		return result{}, err
	}
	const mega = 1e6
	r := result{tps: float64(bytes) / mega / took.Seconds(), average: math.NaN(), p50: math.NaN(), p99: math.NaN(), cpu: math.NaN()}
	if c.proc != nil {
		r.cpu = float64(after-before) / float64(time.Millisecond) / (float64(bytes) / mega)
	}
	return r, nil
}

func (m measurer) cpu(c running) (time.Duration, error) {
	if c.proc == nil {
		return 0, nil
	}
	return m.proc.treeCPU(c.proc.pid())
}
