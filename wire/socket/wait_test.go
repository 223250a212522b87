package socket

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestPace(t *testing.T) {
	for _, c := range []struct {
		name  string
		wakes []time.Duration
		stays bool
	}{
		{"often", []time.Duration{10 * time.Microsecond, 20 * time.Microsecond, 500 * time.Microsecond}, true},
		{"not within a tick", []time.Duration{0, 900 * time.Microsecond, 1100 * time.Microsecond, 1900 * time.Microsecond}, false},
		{"often after a pause", []time.Duration{0, time.Second, time.Second + 1, time.Second + 2}, true},
		{"seldom", []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}, false},
	} {
		p := pace{since: -int64(time.Hour)}
		for _, now := range c.wakes {
			p.woken(int64(now))
		}
		if p.stays != c.stays {
			t.Errorf("%s: stays is %t", c.name, p.stays)
		}
	}
	for _, c := range []struct {
		name   string
		rounds int
		d      time.Duration
		stays  bool
	}{
		{"busy", busyRounds, tickTime, true},
		{"not busy", busyRounds - 1, tickTime, false},
		{"busy, with a long last wait", 2*busyRounds - 1, 2 * tickTime, false},
		{"nothing", 0, alarmTime, false},
	} {
		p := pace{stays: true}
		if p.stayed(c.rounds, c.d); p.stays != c.stays || p.rounds != 0 {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

// Whom a loop had go on waits for its alarm at most a tick, all others alarmTime; and it is not set more often than that takes.
func TestAlarm(t *testing.T) {
	l := &loop{}
	if err := l.open(); err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.seen = opened.Load()
	const ms = int64(time.Millisecond)
	for i, step := range []struct {
		now         int64
		opens, rung bool
		alarm       int64
	}{
		{now: 0, alarm: 10 * ms},
		{now: 6 * ms, alarm: 10 * ms},
		{now: 7 * ms, opens: true, alarm: 8 * ms},
		{now: 7*ms + 1, opens: true, alarm: 8 * ms},
		{now: 8 * ms, rung: true, alarm: 9 * ms}, // there was another one after it was set
		{now: 9 * ms, rung: true, alarm: 19 * ms},
		{now: 18 * ms, opens: true, alarm: 19 * ms},
		{now: 19 * ms, rung: true, alarm: 20 * ms},
	} {
		if step.opens {
			opened.Add(1)
		}
		if l.look() != step.opens {
			t.Errorf("%d: look is %t", i, !step.opens)
		}
		if step.rung {
			l.alarm = 0
		}
		if after := l.alarmIn(step.now); after > 0 {
			l.alarm, l.hurried = step.now+int64(after), false
		}
		if l.alarm != step.alarm {
			t.Errorf("%d: the alarm is at %d, not at %d", i, l.alarm, step.alarm)
		}
	}
	if before := Now(); !l.setAlarm(tickTime) || l.alarm < before+int64(tickTime) {
		t.Error("the alarm is not set, or is thought to ring earlier than it does")
	}
	for events := make([]unix.EpollEvent, 8); l.alarm != 0; {
		l.serve(events[:poll(l.fd, events, -1)]) // it rings, and the loop takes note of that
	}
	closeFD(l.timer)
	if l.setAlarm(tickTime) {
		t.Error("an alarm was set without a timer")
	}
	l.timer = -1
}

// reader uses all that comes, by a loop.
type reader struct {
	c     *Conn
	bytes atomic.Int64
	// stayed counts how often the loop had not parked for it.
	stayed atomic.Int64
}

func (r *reader) Readable(*Batch) {
	for {
		var b [4096]byte
		for {
			n, errno := Recv(r.c.FD(), b[:], 0)
			if errno != 0 || n == 0 {
				break
			}
			r.bytes.Add(int64(n))
		}
		if r.c.loop.pace.stays {
			r.stayed.Add(1)
		}
		if waits, err := r.c.Handle(); waits || err != nil {
			return
		}
	}
}

func (r *reader) Interrupted()  {}
func (r *reader) Posted(*Batch) {}

func (r *reader) Sent(*Batch, int, bool, syscall.Errno) {}

// While all of Go's processors are held by loops that stay in epoll_wait everybody else gets a turn: as long as there are events, and when they
// cease from one moment to the next. It is tried in another process, whose goroutines cannot be preempted by signals: nothing but
// the loop itself can help there.
func TestOthersGetTheProcessor(t *testing.T) {
	if procs, err := strconv.Atoi(os.Getenv("HOWDAH_TEST_PROCS")); err == nil {
		othersGetTheProcessor(t, procs)
		return
	}
	for _, procs := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d processors", procs), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestOthersGetTheProcessor$")
			cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1", fmt.Sprintf("HOWDAH_TEST_PROCS=%d", procs))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v (%v)\n%s", err, ctx.Err(), out)
			}
		})
	}
}

// unixPair are a connection and its other end, which may block.
func unixPair(t *testing.T) (*Conn, *os.File) {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(pair[0], true); err != nil {
		t.Fatal(err)
	}
	c, err := newConn(pair[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, os.NewFile(uintptr(pair[1]), "peer")
}

func othersGetTheProcessor(t *testing.T, procs int) {
	runtime.GOMAXPROCS(procs)
	const lines = 30000
	var readers []*reader
	for range procs {
		c, peer := unixPair(t)
		if err := c.Begin(); err != nil {
			t.Fatal(err)
		}
		r := &reader{c: c}
		c.Use(r)
		readers = append(readers, r)
		r.Readable(nil)
		cmd := exec.Command("sh", "-c", fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo; i=$((i+1)); done; exec sleep 100", lines))
		cmd.Stdout = peer
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		peer.Close()
		defer func() { cmd.Process.Kill(); cmd.Wait() }() //nolint:errcheck // it is killed
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // until the process ends
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			nc.Close()
		}
	}()
	others := func() {
		time.Sleep(time.Millisecond) // a timer
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nc.Read(make([]byte, 1)) //nolint:errcheck // its end
		nc.Close()
		runtime.GC() // which stops all
	}
	left := func() (n int64) {
		for _, r := range readers {
			n += lines - r.bytes.Load()
		}
		return n
	}
	turns := 0
	for ; left() > 0; turns++ {
		others()
	}
	for range 10 {
		others()
	}
	for _, r := range readers {
		if r.stayed.Load() == 0 {
			t.Error("the loop never stayed")
		}
		t.Logf("%d turns of others while there were events; %d wakes of the loop that stayed", turns, r.stayed.Load())
	}
}
