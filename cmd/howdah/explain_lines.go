package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// explainAhead is how many lines may be under way at once; with as many lines of
// a megabyte, that is what is held in memory.
const explainAhead = 64

// explainLine is one line under way.
type explainLine struct {
	text   []byte
	answer []byte
	bad    bool
	done   chan struct{} // closed when answer is there
}

// explainLines answers one line for each line of in, in order, on all
// processors. Answers are flushed when no other is ready, so that a program may
// ask and wait. A line that cannot be read is answered by {"error": …} and
// makes the whole fail at the end.
func explainLines(in io.Reader, out io.Writer, e *explainer) error {
	work, order := make(chan *explainLine, explainAhead), make(chan *explainLine, explainAhead)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for l := range work {
				l.answer, l.bad = e.answerLine(l.text)
				close(l.done)
			}
		})
	}
	var failed atomic.Bool // the writer's: nothing more need be read
	var bad int
	var writeErr error
	var writer sync.WaitGroup
	writer.Go(func() {
		bad, writeErr = writeAnswers(out, order, &failed)
	})
	count, readErr := readLines(in, func(text []byte) bool {
		l := &explainLine{text: text, done: make(chan struct{})}
		work <- l
		order <- l
		return !failed.Load()
	})
	close(work)
	close(order)
	workers.Wait()
	writer.Wait()
	if writeErr != nil {
		return fmt.Errorf("write the answers: %w", writeErr)
	}
	if readErr != nil {
		return fmt.Errorf("read line %d: %w", count+1, readErr)
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d lines could not be read; their answers say why", bad, count)
	}
	return nil
}

// readLines calls take for each line, however long, without its newline, until
// take says no.
func readLines(in io.Reader, take func([]byte) bool) (count int, err error) {
	r := bufio.NewReaderSize(in, 1<<16)
	for {
		text, err := r.ReadBytes('\n')
		if len(text) > 0 && (err == nil || errors.Is(err, io.EOF)) {
			count++
			if !take(bytes.TrimRight(text, "\r\n")) {
				return count, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return count, err
		}
	}
}

// writeAnswers writes in order what becomes ready. After a failed write it sets
// failed and drops the rest, so that nobody waits for it.
func writeAnswers(out io.Writer, order <-chan *explainLine, failed *atomic.Bool) (bad int, err error) {
	w := bufio.NewWriterSize(out, 1<<16)
	for l := range order {
		<-l.done
		if l.bad {
			bad++
		}
		if err != nil {
			continue
		}
		if _, err = w.Write(l.answer); err == nil && len(order) == 0 {
			err = w.Flush()
		}
		if err != nil {
			failed.Store(true)
		}
	}
	if err == nil {
		err = w.Flush()
	}
	return bad, err
}

// answerLine answers one line; bad says that it was not understood.
func (e *explainer) answerLine(text []byte) (answer []byte, bad bool) {
	var out bytes.Buffer
	var line struct {
		SQL *string `json:"sql"`
	}
	err := json.Unmarshal(text, &line)
	switch {
	case !utf8.Valid(text):
		err = errors.New("not UTF-8")
	case err == nil && line.SQL == nil:
		err = errors.New(`no "sql" in it`)
	}
	if err != nil {
		// Texts can always be written as JSON, and so can a report.
		_ = writeJSON(&out, map[string]string{"error": "read {\"sql\": …}: " + err.Error()})
		return out.Bytes(), true
	}
	_ = writeJSON(&out, e.explain([]byte(*line.SQL)))
	return out.Bytes(), false
}
