package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// options are the command line.
type options struct {
	rounds, seconds int
	clients         []int
	kinds           []kind
	shared          []int // clients of kindShared
	modes           []string
	contenders      []string
	scale           int
	jobs            int
	sampling        float64
	idle, idleBusy  int
	quick           bool
	markdown        string
	howdah          string
	profile         string
	grouped         bool
}

// Limits of the flags: what the servers, the ports of one address pair
// (net.ipv4.ip_local_port_range holds 28,232 by default) and patience bear.
const (
	mostClients = 200
	mostShared  = 20_000
	mostIdle    = 25_000
	mostBusy    = 400
	mostRounds  = 100
	mostSeconds = 600
	mostScale   = 1000
	mostJobs    = 64
)

// parseOptions reads the arguments; -quick changes the defaults of what is not
// given. Errors and the usage go to w.
func parseOptions(args []string, w io.Writer) (options, error) {
	var o options
	var clients, modes, names, what, shared string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(w)
	fs.IntVar(&o.rounds, "rounds", 6, "rounds, each with processes of its own; results are medians over them")
	fs.IntVar(&o.seconds, "seconds", 3, "length of each contender's turn in a round, seconds")
	fs.StringVar(&clients, "clients", "8,64", "client counts, comma separated")
	fs.StringVar(&modes, "modes", "simple,extended,prepared", "query modes (pgbench -M), comma separated; empty measures the idle clients alone")
	fs.StringVar(&what, "kinds", "session,transaction,tls,storm,rows,copy,writes", "what is measured, comma separated: session and transaction pooling, TLS, storms of logins, large results as rows and by COPY, transactions that write")
	fs.StringVar(&shared, "shared-clients", "8,64,1000,10000", "client counts of transaction pooling, comma separated")
	fs.StringVar(&names, "contenders", "direct,howdah,howdah3,pgbouncer,haproxy,haproxy3,pgpool,pgpool3", "who takes part, comma separated")
	fs.IntVar(&o.scale, "scale", 10, "pgbench scale factor (100,000 rows each)")
	fs.IntVar(&o.jobs, "jobs", min(2, runtime.NumCPU()), "pgbench threads (pgbench -j)")
	fs.Float64Var(&o.sampling, "sampling", 0.1, "share of the transactions whose latency is logged, for the p99")
	fs.IntVar(&o.idle, "idle", 10_000, "idle clients whose memory is measured; 0 skips it")
	fs.IntVar(&o.idleBusy, "idle-served", 200, "how many of the idle clients then run one query, and so hold a server connection")
	fs.BoolVar(&o.quick, "quick", false, "a glance: one round of 1 s, 2,000 idle clients")
	fs.StringVar(&o.markdown, "markdown", "", "also bring the result into this `file` of Markdown, in the place of what it has of the same")
	fs.StringVar(&o.howdah, "howdah", "bin/howdah", "howdah's binary")
	fs.StringVar(&o.profile, "profile", "", "profile "+profiled+" alone, under session and transaction pooling, and write that to this `file`")
	fs.BoolVar(&o.grouped, "grouped", false, "leave kernel.sched_autogroup_enabled as it is, which else is 0 for the run: the scheduler groups by session")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.quick {
		applyQuick(fs, &o)
	}
	if o.profile != "" {
		names, what, o.idle = profiled, string(kindSession)+","+string(kindShared), 0
	}
	var err error
	if o.clients, err = splitInts(clients); err != nil {
		return o, fmt.Errorf("-clients: %w", err)
	}
	if o.shared == nil {
		if o.shared, err = splitInts(shared); err != nil {
			return o, fmt.Errorf("-shared-clients: %w", err)
		}
	}
	for _, k := range splitList(what) {
		o.kinds = append(o.kinds, kind(k))
	}
	o.modes, o.contenders = splitList(modes), splitList(names)
	return o, o.validate()
}

func applyQuick(fs *flag.FlagSet, o *options) {
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, set := range map[string]func(){
		"rounds":  func() { o.rounds = 1 },
		"seconds": func() { o.seconds = 1 },
		"scale":   func() { o.scale = 5 },
		"idle":    func() { o.idle = 2000 },
		// A glance at the many, too.
		"shared-clients": func() { o.shared = []int{64, 1000} },
	} {
		if !given[name] {
			set()
		}
	}
}

// validate reports every fault at once.
func (o options) validate() error {
	var errs []error
	within := func(name string, value, least, most int) {
		if value < least || value > most {
			errs = append(errs, fmt.Errorf("-%s must be %d to %d, not %d", name, least, most, value))
		}
	}
	within("rounds", o.rounds, 1, mostRounds)
	within("seconds", o.seconds, 1, mostSeconds)
	within("scale", o.scale, 1, mostScale)
	within("jobs", o.jobs, 1, mostJobs)
	within("idle", o.idle, 0, mostIdle)
	within("idle-served", o.idleBusy, 0, mostBusy)
	for _, c := range o.clients {
		within("clients", c, 1, mostClients)
	}
	for _, c := range o.shared {
		within("shared-clients", c, 1, mostShared)
	}
	for _, k := range o.kinds {
		if !slices.Contains(kinds, k) {
			errs = append(errs, fmt.Errorf("-kinds: %q is none of %v", k, kinds))
		}
	}
	if o.sampling <= 0 || o.sampling > 1 {
		errs = append(errs, fmt.Errorf("-sampling must be above 0 and at most 1, not %v", o.sampling))
	}
	for _, m := range o.modes {
		if !slices.Contains([]string{"simple", "extended", "prepared"}, m) {
			errs = append(errs, fmt.Errorf("-modes: %q is none of simple, extended, prepared", m))
		}
	}
	if len(o.contenders) == 0 {
		errs = append(errs, errors.New("-contenders: none named"))
	}
	return errors.Join(errs...)
}

// loads are those of all kinds, in the order of kinds.
func (o options) loads() []load {
	var all []load
	for _, k := range kinds {
		if !slices.Contains(o.kinds, k) || len(o.modes) == 0 {
			continue
		}
		modes, clients := o.modes, o.clients
		switch k {
		case kindShared, kindWrites:
			// PgBouncer 1.18 knows no named statements there.
			modes = slices.DeleteFunc(slices.Clone(modes), func(m string) bool { return m == "prepared" })
			if k == kindShared {
				clients = o.shared
			}
		case kindTLS:
			modes, clients = []string{"prepared"}, []int{tlsClients}
		case kindStorm:
			modes = []string{"simple"}
		case kindRows, kindCopy:
			modes, clients = []string{""}, []int{streamClients}
		}
		for _, m := range modes {
			for _, c := range clients {
				all = append(all, load{kind: k, mode: m, clients: c})
			}
		}
	}
	return all
}

// The clients of the kinds that have a fixed number.
const (
	tlsClients    = 64
	streamClients = 2
)

func splitList(s string) []string {
	var list []string
	for _, item := range strings.Split(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

func splitInts(s string) ([]int, error) {
	var list []int
	for _, item := range splitList(s) {
		n, err := strconv.Atoi(item)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", item)
		}
		list = append(list, n)
	}
	return list, nil
}
