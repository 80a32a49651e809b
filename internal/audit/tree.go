package audit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	f_log "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// tree is the Merkle log as the sequencer needs it. Only the sequencer calls Add.
type tree interface {
	// Size is how many entries are in the tree, durably.
	Size() (ID, error)
	// Published is how many of them the signed checkpoint covers.
	Published() (ID, error)
	// Add appends payloads at index first. After an error, Size says how many got in.
	Add(first ID, payloads [][]byte) error
	// Close waits, at most 10 s, until the checkpoint covers everything.
	Close() error
}

const (
	treeBatch     = 256 // one entry bundle
	treeBatchAge  = 5 * time.Millisecond
	closePatience = 10 * time.Second
)

// tessellated is the tree in Tessera's POSIX storage.
type tessellated struct {
	dir      string
	verifier note.Verifier
	appender *tessera.Appender
	reader   tessera.LogReader
	cancel   context.CancelFunc
	ctx      context.Context
}

// noNetwork is the HTTP transport of a log that has no witnesses: only outbound dials.
type noNetwork struct{}

func (noNetwork) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the audit log makes no network calls")
}

func openTessera(dir string, k signingKey, every time.Duration) (tree, error) {
	ctx, cancel := context.WithCancel(context.Background())
	fail := func(err error) (tree, error) {
		cancel()
		return nil, fmt.Errorf("open Merkle log: %w", err)
	}
	verifier, err := note.NewVerifier(k.public)
	if err != nil {
		return fail(err)
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir, HTTPClient: &http.Client{Transport: noNetwork{}}})
	if err != nil {
		return fail(err)
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(k.signer).
		WithCheckpointInterval(every).
		WithCheckpointRepublishInterval(0).
		WithBatching(treeBatch, treeBatchAge)
	// Tessera's own shutdown only waits for the checkpoint; Close does that, also for
	// entries that an earlier process added.
	appender, _, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return fail(err)
	}
	return &tessellated{dir: dir, verifier: verifier, appender: appender, reader: reader, ctx: ctx, cancel: cancel}, nil
}

func (t *tessellated) Size() (ID, error) {
	n, err := t.reader.IntegratedSize(t.ctx)
	if err != nil {
		return 0, fmt.Errorf("read size of Merkle log: %w", err)
	}
	return ID(n), nil
}

func (t *tessellated) Published() (ID, error) {
	raw, err := t.reader.ReadCheckpoint(t.ctx)
	if missing(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read checkpoint: %w", err)
	}
	cp, _, _, err := f_log.ParseCheckpoint(raw, t.verifier.Name(), t.verifier)
	if err != nil {
		return 0, fmt.Errorf("read checkpoint: %w", err)
	}
	return ID(cp.Size), nil
}

func (t *tessellated) Add(first ID, payloads [][]byte) error {
	if err := t.usable(); err != nil {
		return err
	}
	futures := make([]tessera.IndexFuture, len(payloads))
	for i, p := range payloads {
		futures[i] = t.appender.Add(t.ctx, tessera.NewEntry(p))
	}
	var failed error
	for i, f := range futures {
		at, err := f()
		switch {
		case err != nil:
			failed = errors.Join(failed, err)
		case ID(at.Index) != first+ID(i):
			return fmt.Errorf("add to Merkle log: entry %d went to index %d", first+ID(i), at.Index)
		}
		if failed != nil && i > 0 {
			return fmt.Errorf("add to Merkle log: %w", failed)
		}
	}
	if failed != nil {
		return fmt.Errorf("add to Merkle log: %w", failed)
	}
	return nil
}

// usable looks whether Tessera could take its lock. It panics where it cannot (a disk
// mounted read-only, no file descriptors), which would end the process.
func (t *tessellated) usable() error {
	f, err := os.OpenFile(filepath.Join(t.dir, ".state", "treeState.lock"), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("lock Merkle log: %w", err)
	}
	return f.Close()
}

func (t *tessellated) Close() error {
	defer t.cancel()
	size, err := t.Size()
	if err != nil {
		return err
	}
	for begun := time.Now(); ; {
		published, err := t.Published()
		if err != nil || published >= size {
			return err
		}
		if time.Since(begun) > closePatience {
			return fmt.Errorf("close Merkle log: its checkpoint covers %d of %d entries", published, size)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
