package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// scripts are the drivers of other languages: programs that run one statement after the other.
var scripts = [][]string{
	{"/usr/bin/python3", "-B", "../drivers/chaos.py"},
	{"node", "--unhandled-rejections=strict", "../drivers/node/chaos.js"},
}

// scriptClient is a session of a driver in another process, which ends with close.
type scriptClient struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	over    bool
}

// scriptError is what a server said to such a driver.
type scriptError struct{ code, text string }

func (e *scriptError) Error() string { return e.text + " (SQLSTATE " + e.code + ")" }

func openScript(command []string, dsn string) (client, error) {
	path, err := filepath.Abs(command[len(command)-1])
	if err != nil {
		return nil, err
	}
	args := append(append([]string{}, command[1:len(command)-1]...), path, dsn)
	c := &scriptClient{cmd: exec.Command(command[0], args...)}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s (scripts/deps.sh test installs what it needs): %w", command[0], err)
	}
	c.answers = json.NewDecoder(bufio.NewReader(out))
	if err := c.answers.Decode(&struct{}{}); err != nil {
		c.close()
		return nil, fmt.Errorf("%s does not connect: %w", filepath.Base(path), err)
	}
	return c, nil
}

// run has the driver run a statement. It does not end before the statement does, or waitTimeout.
func (c *scriptClient) run(sql string, args []any) (int64, error) {
	line, err := json.Marshal(map[string]any{"sql": sql, "args": args})
	if err != nil {
		return 0, err
	}
	hangs := time.AfterFunc(waitTimeout, func() { c.cmd.Process.Kill() }) //nolint:errcheck // the answer does not come then
	defer hangs.Stop()
	var answer struct {
		Value       int64
		Error, Code string
		Closed      bool
	}
	if _, err := c.in.Write(append(line, '\n')); err == nil {
		err = c.answers.Decode(&answer)
		if err != nil {
			c.over = true
			return 0, fmt.Errorf("the driver has ended: %w", err)
		}
	} else {
		c.over = true
		return 0, err
	}
	c.over = answer.Closed
	if answer.Error != "" {
		return 0, &scriptError{code: answer.Code, text: answer.Error}
	}
	return answer.Value, nil
}

func (c *scriptClient) exec(_ context.Context, sql string, args ...any) error {
	_, err := c.run(sql, args)
	return err
}

func (c *scriptClient) value(_ context.Context, sql string, args ...any) (int64, error) {
	return c.run(sql, args)
}
func (c *scriptClient) closed() bool { return c.over }

func (c *scriptClient) close() {
	c.in.Close()         //nolint:errcheck // it ends then
	c.cmd.Process.Kill() //nolint:errcheck // if it has not
	c.cmd.Wait()         //nolint:errcheck // it was killed
}

// scriptState is the SQLSTATE of a scriptError.
func scriptState(err error) string {
	var e *scriptError
	if errors.As(err, &e) {
		return e.code
	}
	return ""
}
