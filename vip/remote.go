package vip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A guardian that ended is started again after a pause that doubles.
	restartFirst, restartMost = 20 * time.Millisecond, 5 * time.Second
	// steadyAfter is how long a guardian must have lived for the pause to begin anew.
	steadyAfter = 10 * time.Second
	// hangCheck is how often it is looked whether the guardian answers, and hangChecks
	// how many times in a row it may not. Checks that did not happen because this
	// process was frozen do not count.
	hangCheck  = 250 * time.Millisecond
	hangChecks = 8
)

// remote is an engine in another process.
type remote struct {
	m *Manager
	// program is what to run.
	program []string
}

// run keeps a guardian running until ctx ends and it has taken the addresses off.
func (r *remote) run(ctx context.Context) error {
	pause := restartFirst
	for {
		started := time.Now()
		err := r.once(ctx)
		if ctx.Err() != nil {
			return err
		}
		if err == nil {
			err = errors.New("it ended by itself")
		}
		if time.Since(started) > steadyAfter {
			pause = restartFirst
		}
		r.m.log.Error("the guardian of the address ended; it is started again", "error", err, "pause", pause)
		r.m.lost(fmt.Sprintf("the guardian ended: %v", err))
		select {
		case <-ctx.Done():
			return fmt.Errorf("the guardian ended before it took the address off (howdah vip down does that): %w", err)
		case <-time.After(pause):
		}
		pause = min(2*pause, restartMost)
	}
}

// once runs one guardian to its end.
func (r *remote) once(ctx context.Context) error {
	ch, theirs, err := newChannel()
	if err != nil {
		return err
	}
	defer ch.close()
	cmd := exec.Command(r.program[0], r.program[1:]...)
	cmd.Args[0] = "howdah"              // what ps shows
	cmd.ExtraFiles = []*os.File{theirs} // file 3
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // signals of our terminal are not for it
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return fmt.Errorf("start the guardian: %w", err)
	}
	r.m.started()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // received below

	var answered atomic.Uint64 // counts what the guardian said
	var reader sync.WaitGroup
	reader.Go(func() {
		buf := make([]byte, maxMessage)
		for {
			var m fromGuardian
			if ch.receive(buf, &m) != nil {
				return // the process ends, or we do
			}
			answered.Add(1)
			r.m.update(m.State)
		}
	})
	r.talk(ctx, ch, cmd.Process, ended, &answered)
	_ = ch.conn.CloseWrite() // now the guardian takes the addresses off, if it lives, and says so
	err = r.await(cmd.Process, ended)
	reader.Wait()
	return err
}

// talk passes orders on until the guardian ends or hangs, or ctx ends.
func (r *remote) talk(ctx context.Context, ch *channel, process *os.Process, ended chan error, answered *atomic.Uint64) {
	will := r.m.mail.testament()
	o, clients := r.m.mail.take()
	if err := ch.send(toGuardian{Hello: &hello{r.m.cfg, r.m.logs, o, will}}); err != nil {
		r.m.log.Error("the guardian was not told its task", "error", err)
		return
	}
	held := o.Holder
	if held {
		r.sendClients(ch, clients)
	}
	check := time.NewTicker(hangCheck)
	defer check.Stop()
	var asked, silent int
	var before uint64
	for {
		select {
		case <-ctx.Done():
			// Said with time left, so that clients can be disconnected in order.
			o, _ = r.m.mail.take()
			_ = ch.send(toGuardian{Order: &order{Epoch: o.Epoch, Seq: o.Seq, Reason: errStops.Error()}})
			return
		case err := <-ended:
			ended <- err // for await
			return
		case <-r.m.mail.ready:
			if next := r.m.mail.testament(); !bytes.Equal(next, will) {
				if err := ch.send(toGuardian{Will: &next}); err == nil { // else it is tried again with the next order
					will = next
				}
			}
			o, clients = r.m.mail.take()
			asked++
			if err := ch.send(toGuardian{Order: &o}); err != nil && !errors.Is(err, unix.EAGAIN) {
				return
			}
			if o.Holder && !held {
				r.sendClients(ch, clients)
			}
			held = o.Holder
		case <-check.C:
			now := answered.Load()
			if now != before || asked == 0 {
				before, asked, silent = now, 0, 0
				continue
			}
			if silent++; silent >= hangChecks {
				r.m.log.Error("the guardian of the address does not answer and is killed", "pid", process.Pid, "silent", hangChecks*hangCheck)
				_ = process.Kill()
				return
			}
		}
	}
}

// sendClients tells of the former holder's connections, once for each time the address
// is to come here.
func (r *remote) sendClients(ch *channel, clients []Connection) {
	if len(clients) == 0 {
		return
	}
	for _, m := range clientMessages(clients) {
		var err error
		for range 50 { // the guardian reads them as they come
			if err = ch.send(m); !errors.Is(err, unix.EAGAIN) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err != nil {
			r.m.log.Warn("clients of the former holder may have to wait", "clients", len(clients), "error", err)
			return
		}
	}
}

// await waits for the guardian's end. One that does not manage to take the addresses
// off in time is killed; then the kernel's lifetime is all that is left.
func (r *remote) await(process *os.Process, ended chan error) error {
	wait := (&engine{cfg: r.m.cfg}).stopWait() + stopSlack
	select {
	case err := <-ended:
		return err
	case <-time.After(wait):
		_ = process.Kill()
		<-ended
		return fmt.Errorf("the guardian did not end within %s and was killed", wait)
	}
}
