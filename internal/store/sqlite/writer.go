package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// maxBatch is how many writes share one transaction, and thereby one fsync.
const maxBatch = 64

var errClosed = errors.New("the store is closed")

// writer is the one place that writes. Writes that arrive while a transaction commits
// share the next one; each has its own savepoint, so that one that fails takes nothing
// with it.
type writer struct {
	db   *sql.DB
	tx   *tx // on the connection that is written with; nil after one that failed
	jobs chan *job
	quit chan struct{}
	done chan struct{}
	once sync.Once
}

type job struct {
	ctx  context.Context
	fn   func(tx *tx) error
	err  error
	done chan struct{}
}

func startWriter(db *sql.DB) *writer {
	w := &writer{db: db, jobs: make(chan *job), quit: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// do runs fn in a transaction and returns when it is on the disk, or failed and left
// nothing. It does not return before that is decided, even if ctx ends meanwhile: half
// an answer would be worse than a late one. fn may be run in a batch with others and
// must only use tx.
func (w *writer) do(ctx context.Context, fn func(tx *tx) error) error {
	j := &job{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
	<-j.done
	return j.err
}

func (w *writer) stop() {
	w.once.Do(func() { close(w.quit) })
	<-w.done
}

func (w *writer) run() {
	defer close(w.done)
	defer w.drop()
	batch := make([]*job, 0, maxBatch)
	for {
		batch = batch[:0]
		select {
		case <-w.quit:
			return
		case j := <-w.jobs:
			batch = append(batch, j)
		}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case j := <-w.jobs:
				batch = append(batch, j)
			default:
				more = false
			}
		}
		w.commit(batch)
		for _, j := range batch {
			close(j.done)
		}
	}
}

// commit sets the err of every job.
func (w *writer) commit(batch []*job) {
	fail := func(err error) {
		for _, j := range batch {
			if j.err == nil {
				j.err = err
			}
		}
	}
	err := w.begin()
	if err != nil {
		fail(fmt.Errorf("begin: %w", err))
		return
	}
	for _, j := range batch {
		if err := w.apply(w.tx, j); err != nil {
			w.drop()
			fail(err)
			return
		}
	}
	if _, err := w.tx.Exec("COMMIT"); err != nil {
		w.drop()
		fail(fmt.Errorf("commit: %w", err))
	}
}

// begin takes the write lock. No caller's context counts here: one that leaves must not break its
// neighbours.
func (w *writer) begin() (err error) {
	if w.tx == nil {
		if w.tx, err = newTx(context.Background(), w.db); err != nil {
			return err
		}
	}
	if _, err = w.tx.Exec("BEGIN IMMEDIATE"); err != nil {
		w.drop()
	}
	return err
}

// drop closes a connection whose transaction failed, which undoes the transaction: the next one
// begins on a new connection, whatever state this one was in.
func (w *writer) drop() {
	if w.tx != nil {
		w.tx.drop()
		w.tx = nil
	}
}

// apply runs one job; its own failure is undone and kept in j.err. The error it returns
// is about the transaction as a whole.
func (w *writer) apply(tx *tx, j *job) error {
	if j.err = j.ctx.Err(); j.err != nil {
		return nil
	}
	if _, err := tx.Exec("SAVEPOINT job"); err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	if j.err = j.fn(tx); j.err != nil {
		if _, err := tx.Exec("ROLLBACK TO job"); err != nil {
			return fmt.Errorf("undo: %w", err)
		}
	}
	if _, err := tx.Exec("RELEASE job"); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}
