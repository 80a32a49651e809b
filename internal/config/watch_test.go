package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const smallest = `
version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites: {shop: {connections: {pay: {provider: stripe, mode: mock, backend: all}}}}
`

// watched is a Watcher on a file in a folder of its own, with what it reports.
type watched struct {
	path    string
	signal  chan os.Signal
	applied chan *File
	refused chan error
	fail    error
}

func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{path: filepath.Join(t.TempDir(), "sallyport.yaml"), signal: make(chan os.Signal), applied: make(chan *File, 9), refused: make(chan error, 9)}
	w.write(t, smallest)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	watcher := &Watcher{Path: w.path, Every: 5 * time.Millisecond, Signal: w.signal, Catalog: catalog(),
		Apply:  func(f *File) error { err := w.fail; w.applied <- f; return err },
		Refuse: func(err error) { w.refused <- err }}
	go func() { watcher.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	w.signal <- syscall.SIGHUP // is taken once Run has taken the file as it stands for applied
	w.wantApplied(t)
	return w
}

// write replaces the file as editors and deployments do: a new file, renamed over the old one.
func (w *watched) write(t *testing.T, doc string) {
	t.Helper()
	if err := os.WriteFile(w.path+"~", []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(w.path+"~", w.path); err != nil {
		t.Fatal(err)
	}
}

func (w *watched) wantApplied(t *testing.T) {
	t.Helper()
	select {
	case <-w.applied:
	case err := <-w.refused:
		t.Fatalf("refused: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("a new file was not noticed")
	}
}

func (w *watched) wantRefused(t *testing.T) error {
	t.Helper()
	select {
	case <-w.applied:
		t.Fatal("a bad file was applied")
	case err := <-w.refused:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("a bad file was not noticed")
	}
	return nil
}

func TestWatcherAppliesGoodFiles(t *testing.T) {
	w := watch(t)
	w.write(t, smallest+"# changed\n")
	w.wantApplied(t)
	if err := os.WriteFile(w.path, []byte(smallest+"# written in place\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for { // this one may be seen between its truncation and its end, and is then looked at again
		select {
		case <-w.applied:
			return
		case err := <-w.refused:
			var faults Faults
			if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Found != "the file is empty" {
				t.Fatalf("refused: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a file that was written in place was not noticed")
		}
	}
}

func TestWatcherRefusesBadFiles(t *testing.T) {
	w := watch(t)
	w.write(t, smallest+"sties: {}\n")
	var faults Faults
	if err := w.wantRefused(t); !errors.As(err, &faults) || len(faults) != 1 {
		t.Errorf("the faults did not arrive: %v", err)
	}
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	_ = w.wantRefused(t)
	w.write(t, smallest)
	w.wantApplied(t)
}

func TestWatcherReportsWhatCannotBeApplied(t *testing.T) {
	w := watch(t)
	w.fail = errors.New("the port is taken")
	w.write(t, smallest+"# changed\n")
	w.wantApplied(t)
	if err := w.wantRefused(t); !errors.Is(err, w.fail) {
		t.Errorf("got %v", err)
	}
}

func TestWatcherReloadsOnSignal(t *testing.T) {
	w := watch(t)
	w.signal <- syscall.SIGHUP
	w.wantApplied(t)
	select {
	case <-w.applied:
		t.Error("an unchanged file was read twice")
	case <-time.After(50 * time.Millisecond):
	}
}
