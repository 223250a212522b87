// Package browser drives a headless Chromium by the Chrome DevTools Protocol, over two pipes
// (--remote-debugging-pipe): JSON messages, each ended by a zero byte.
package browser

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Page is a tab. A failure of the protocol fails the test.
type Page struct {
	t       testing.TB
	out     *os.File
	session string

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	// faults are exceptions and errors that the page's console has got.
	faults []string
	gone   chan struct{}
}

type message struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
	Session string `json:"sessionId,omitempty"`
}

// answerTimeout bounds one call; a browser on a busy machine takes its time to start.
const answerTimeout = time.Minute

// Open starts a browser with one empty page, for as long as the test runs.
func Open(t testing.TB) *Page {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing (scripts/deps.sh test installs it)")
	}
	toRead, toWrite := pipe(t), pipe(t)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
		"--no-first-run", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{toRead[0], toWrite[1]} // its descriptors 3 and 4
	cmd.WaitDelay = 10 * time.Second
	var diag strings.Builder
	cmd.Stderr = &diag
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toRead[0].Close()
	toWrite[1].Close()
	p := &Page{t: t, out: toRead[1], waiting: map[int]chan message{}, gone: make(chan struct{})}
	go p.read(toWrite[0])
	t.Cleanup(func() {
		cancel()
		cmd.Wait() //nolint:errcheck // it was killed
		toRead[1].Close()
		<-p.gone
		toWrite[0].Close()
		if t.Failed() {
			t.Logf("chromium: %.2000s", diag.String())
		}
	})
	var target struct{ TargetID string }
	p.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	p.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.call(domain+".enable", nil, nil)
	}
	return p
}

func pipe(t testing.TB) [2]*os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return [2]*os.File{r, w}
}

// read takes in what the browser says until it ends.
func (p *Page) read(from *os.File) {
	defer close(p.gone)
	in := bufio.NewReader(from)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		p.mu.Lock()
		switch {
		case m.ID != 0:
			if c := p.waiting[m.ID]; c != nil {
				c <- m
				delete(p.waiting, m.ID)
			}
		case m.Method == "Runtime.exceptionThrown":
			p.faults = append(p.faults, string(m.Params))
		case m.Method == "Log.entryAdded" && strings.Contains(string(m.Params), `"level":"error"`):
			p.faults = append(p.faults, string(m.Params))
		}
		p.mu.Unlock()
	}
}

// call has the browser do something and reads its answer into result, if that is not nil.
func (p *Page) call(method string, params any, result any) {
	p.t.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		p.t.Fatal(err)
	}
	answered := make(chan message, 1)
	p.mu.Lock()
	p.last++
	m := message{ID: p.last, Method: method, Session: p.session}
	if params != nil {
		m.Params = raw
	}
	p.waiting[m.ID] = answered
	text, err := json.Marshal(m)
	if err == nil {
		_, err = p.out.Write(append(text, 0))
	}
	p.mu.Unlock()
	if err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
	select {
	case m = <-answered:
	case <-p.gone:
		p.t.Fatalf("%s: the browser is gone", method)
	case <-time.After(answerTimeout):
		p.t.Fatalf("%s: no answer", method)
	}
	if m.Error != nil {
		p.t.Fatalf("%s: %s", method, m.Error.Message)
	}
	if result != nil {
		if err := json.Unmarshal(m.Result, result); err != nil {
			p.t.Fatalf("%s: %v", method, err)
		}
	}
}

// Login sends user and password with every request from now on; none if user is empty.
func (p *Page) Login(user, password string) {
	p.t.Helper()
	headers := map[string]string{}
	if user != "" {
		headers["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	p.call("Network.setExtraHTTPHeaders", map[string]any{"headers": headers}, nil)
}

// Go opens a URL.
func (p *Page) Go(url string) {
	p.t.Helper()
	var got struct{ ErrorText string }
	p.call("Page.navigate", map[string]any{"url": url}, &got)
	if got.ErrorText != "" {
		p.t.Fatalf("%s: %s", url, got.ErrorText)
	}
}

// Look makes the window so large, of a phone or not, light or dark.
func (p *Page) Look(width, height int, phone, dark bool) {
	p.t.Helper()
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}, nil)
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	p.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Eval is the value of a JavaScript expression, a promise's included, as a text.
func (p *Page) Eval(expression string) string {
	p.t.Helper()
	value, fault := p.evaluate(expression)
	if fault != "" {
		p.t.Fatalf("%s: %s", expression, fault)
	}
	return value
}

func (p *Page) evaluate(expression string) (value, fault string) {
	p.t.Helper()
	var got struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Text string }
	}
	p.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &got)
	if got.ExceptionDetails != nil {
		return "", got.ExceptionDetails.Text
	}
	return fmt.Sprint(got.Result.Value), ""
}

// Await waits until an expression is true. Meanwhile it may fail: parts of the page may not be there yet.
func (p *Page) Await(expression string) {
	p.t.Helper()
	for end := time.Now().Add(answerTimeout); ; time.Sleep(50 * time.Millisecond) {
		if value, _ := p.evaluate("Boolean(" + expression + ")"); value == "true" {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("never true: %s\nthe page says:\n%s", expression, p.Eval("document.body.innerText"))
		}
	}
}

// Picture is the page as a PNG: what is in the window, or all of it.
func (p *Page) Picture(all bool) []byte {
	p.t.Helper()
	var got struct{ Data []byte }
	p.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": all}, &got)
	return got.Data
}

// Faults are the exceptions and errors so far.
func (p *Page) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.faults...)
}
