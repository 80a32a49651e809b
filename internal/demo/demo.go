// Package demo is the two-minute tour: a gate, mock providers and a sample shop on
// loopback, started together and gone together.
//
// The gate is the real one, opened on a real file; the providers are HTTPS servers that
// answer from the catalog's contracts and keep what they were sent, so that the shop's
// page can show both sides of the gate. What the page shows of the provider's side was
// taken there and not inside the gate.
//
// It guarantees that everything listens on loopback only, that nothing is reached over
// the network, and that after Run no listener, goroutine or file of it is left. It
// proves nothing about the real providers, and holds no real credential.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sallyport/internal/app"
	"sallyport/internal/observe"
	"sallyport/internal/provider"
)

// Options say where the tour prints and listens.
type Options struct {
	Out  io.Writer
	Log  io.Writer // errors of the gate; its whole log is a file of the tour
	Port int       // of the sample shop; 0: any free one
}

// tour is what Run started.
type tour struct {
	dir    string
	shop   *listener
	mocks  []*upstream
	tape   *tape
	closes []func() error
}

// Run shows the tour until ctx ends, and removes everything it made.
func Run(ctx context.Context, o Options) (err error) {
	began := time.Now()
	t := &tour{tape: newTape()}
	defer func() { err = errors.Join(err, t.close()) }()
	gate, err := t.open(ctx, o)
	if err != nil {
		return fmt.Errorf("start the demo: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var serving sync.WaitGroup
	results := make(chan error, 2+len(t.mocks))
	serve := func(run func(context.Context) error) {
		serving.Go(func() {
			results <- run(ctx)
			cancel() // one that ends ends all
		})
	}
	serve(func(ctx context.Context) error { return gate.Serve(ctx, nil) })
	serve(t.shop.serve)
	for _, m := range t.mocks {
		serve(m.serve)
	}
	t.greet(o.Out, gate.Addr().String(), time.Since(began))
	serving.Wait()
	close(results)
	for r := range results {
		err = errors.Join(err, r)
	}
	return err
}

// open makes the files, the listeners and the gate; nothing answers before all stand.
func (t *tour) open(ctx context.Context, o Options) (*app.Gate, error) {
	if err := t.makeDir(); err != nil {
		return nil, err
	}
	log, err := t.openLog(o.Log)
	if err != nil {
		return nil, err
	}
	authority, err := newAuthority()
	if err != nil {
		return nil, err
	}
	if t.shop, err = listen(o.Port, nil); err != nil {
		return nil, err
	}
	t.onClose(t.shop.close)
	page := &phone{}
	if err := t.openMocks(authority, page); err != nil {
		return nil, err
	}
	if err := t.writeFiles(authority); err != nil {
		return nil, err
	}
	gate, err := app.Open(ctx, app.Options{Path: filepath.Join(t.dir, configName), Log: log})
	if err != nil {
		return nil, err
	}
	t.shop.handler, err = newShop(shopOptions{Self: t.shop.addr(), Gate: gate.Addr().String(), Dir: t.dir, Tape: t.tape, Phone: page, Mocks: t.mocks})
	if err != nil {
		return nil, errors.Join(err, gate.Close())
	}
	return gate, nil
}

func (t *tour) openMocks(a *authority, page *phone) error {
	catalog := provider.Builtin()
	for _, c := range connections() {
		pack, err := catalog.Find(c.provider)
		if err != nil {
			return err
		}
		m, err := openUpstream(c, pack, upstreamParts{authority: a, tape: t.tape, phone: page})
		if err != nil {
			return err
		}
		t.onClose(m.close)
		t.mocks = append(t.mocks, m)
	}
	return nil
}

func (t *tour) openLog(errorsTo io.Writer) (*slog.Logger, error) {
	f, err := os.OpenFile(filepath.Join(t.dir, "gate.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the log: %w", err)
	}
	t.onClose(f.Close)
	var to slog.Handler = observe.NewHandler(f, observe.Options{Level: slog.LevelInfo})
	if errorsTo != nil {
		to = slog.NewMultiHandler(to, observe.NewHandler(errorsTo, observe.Options{Level: slog.LevelError}))
	}
	return slog.New(to), nil
}

func (t *tour) makeDir() error {
	dir, err := os.MkdirTemp("", "sallyport-demo-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	t.dir = dir
	t.onClose(func() error { return os.RemoveAll(dir) })
	return nil
}

func (t *tour) onClose(f func() error) { t.closes = append(t.closes, f) }

// close undoes everything, last made first.
func (t *tour) close() error {
	var errs []error
	for i := len(t.closes) - 1; i >= 0; i-- {
		errs = append(errs, t.closes[i]())
	}
	t.closes = nil
	return errors.Join(errs...)
}

func (t *tour) greet(w io.Writer, gate string, took time.Duration) {
	fmt.Fprintf(w, `
  Harbour & Hill, a shop behind a Sallyport gate               ready in %.1f s

    Shop        http://%s/
                open this one: pay, find an address, get a code, answer a poll
    Gate        http://%s/%s/client.js
                what the shop's page loads; it holds no key
    The file    %s
                everything the page may do stands there
    Gate's log  %s
    Providers   `, took.Seconds(), t.shop.addr(), gate, siteName,
		filepath.Join(t.dir, configName), filepath.Join(t.dir, "gate.log"))
	for i, m := range t.mocks {
		if i > 0 {
			fmt.Fprint(w, ", ")
		}
		fmt.Fprint(w, m.name)
	}
	fmt.Fprint(w, "\n                mocks over TLS, on this machine\n\n  Nothing leaves this machine. Ctrl-C stops everything and removes every file.\n\n")
}
