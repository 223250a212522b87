package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// file is the file of log.destination: file. Every line is written at once, in one piece.
type file struct {
	path string
	mode fs.FileMode

	mu sync.Mutex
	f  *os.File
}

// openFile opens the file at path, or makes it, and writes at its end.
func openFile(path string, mode fs.FileMode) (*file, error) {
	l := &file{path: path, mode: mode}
	return l, l.reopen()
}

func (l *file) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Write(line)
}

// reopen opens the path anew, which somebody may have renamed. If that fails, lines go on to where they went.
func (l *file) reopen() error {
	l.mu.Lock() // whoever sees the new file finds in it what is said from then on
	defer l.mu.Unlock()
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, l.mode)
	switch {
	case err == nil:
		f.Chmod(l.mode) //nolint:errcheck // against the umask, where the file system has modes
	case errors.Is(err, fs.ErrExist):
		f, err = os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND, 0)
	}
	if err != nil {
		return fmt.Errorf("log.file: %w", err)
	}
	if l.f != nil {
		l.f.Close() //nolint:errcheck // nothing is buffered
	}
	l.f = f
	return nil
}

func (l *file) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.f.Close() //nolint:errcheck // nothing is buffered
}
