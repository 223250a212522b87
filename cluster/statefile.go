package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxStateFile bounds what is read of a state file.
const maxStateFile = 1 << 20

// StateFile is the Arbiter of a howdah that is alone: it always consents, and keeps the record in a file.
// An empty Path keeps it in memory only.
type StateFile struct {
	Path string
}

// Consent consents: there is nobody else to ask.
func (f StateFile) Consent(context.Context, Proposal) (Answer, error) {
	return Answer{Granted: true, Reasons: []string{"this howdah is alone"}}, nil
}

// Record replaces the file as a whole. It is on disk when Record returns.
func (f StateFile) Record(_ context.Context, r Record) error {
	if f.Path == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := replaceFile(f.Path, append(text, '\n')); err != nil {
		return fmt.Errorf("write state to %s: %w", f.Path, err)
	}
	return nil
}

// replaceFile writes a new file beside path, brings it to the disk, and puts it in path's place.
func replaceFile(path string, text []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // readable by us alone
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(text)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil // the file is in place; the directory cannot be read by us
	}
	defer dir.Close() //nolint:errcheck // read only
	return dir.Sync()
}

// Recall reads the file; there need not be one.
func (f StateFile) Recall(context.Context) (Record, error) {
	var r Record
	if f.Path == "" {
		return r, nil
	}
	info, err := os.Stat(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil && info.Size() > maxStateFile {
		err = errors.New("the file is too large")
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(f.Path)
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return Record{}, fmt.Errorf("read state from %s: %w", f.Path, err)
	}
	return r, nil
}
