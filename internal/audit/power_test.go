package audit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sallyport/internal/problem"
)

// powered is a file layer that knows what a power failure would leave: what was
// written before the last sync of a file, in files whose directory was synced since
// they got their name. Of everything else any part may be there.
type powered struct {
	osFiles

	mu     sync.Mutex
	synced map[string]int64 // by name: bytes that are safe
	named  map[string]bool  // names that are safe
}

type poweredFile struct {
	file
	of   *powered
	name string
	size int64
}

func (p *powered) Create(name string) (file, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := p.osFiles.Create(name)
	delete(p.synced, name)
	return &poweredFile{file: f, of: p, name: name}, err
}

func (p *powered) Append(name string) (file, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := p.osFiles.Append(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(name)
	return &poweredFile{file: f, of: p, name: name, size: info.Size()}, err
}

func (p *powered) Rename(from, to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.synced[to] = p.synced[from]
	delete(p.synced, from)
	return p.osFiles.Rename(from, to)
}

func (p *powered) SyncDir(dir string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	list, err := os.ReadDir(dir)
	for _, item := range list {
		p.named[filepath.Join(dir, item.Name())] = true
	}
	return err
}

func (f *poweredFile) Write(b []byte) (int, error) {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	n, err := f.file.Write(b)
	f.size += int64(n)
	return n, err
}

func (f *poweredFile) Sync() error {
	time.Sleep(time.Duration(rand.IntN(400)) * time.Microsecond) // so that a failure falls between
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	f.of.synced[f.name] = f.size
	return nil
}

// fail builds, in to, what a power failure at this moment may leave.
func (p *powered) fail(t *testing.T, rng *rand.Rand, from, to string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sub := range []string{".", "wal"} {
		list, err := os.ReadDir(filepath.Join(from, sub))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(to, sub), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, item := range list {
			name := filepath.Join(from, sub, item.Name())
			if item.IsDir() || !p.named[name] && rng.IntN(2) == 0 {
				continue
			}
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			safe := min(p.synced[name], int64(len(content)))
			if err := os.WriteFile(filepath.Join(to, sub, item.Name()), shorn(rng, content, safe), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// shorn keeps what is safe and tears the rest.
func shorn(rng *rand.Rand, content []byte, safe int64) []byte {
	rest := content[safe:]
	if len(rest) == 0 {
		return content
	}
	rest = append([]byte{}, rest[:rng.IntN(len(rest)+1)]...)
	for range rng.IntN(4) { // sectors that did not arrive
		if len(rest) > 0 {
			at := rng.IntN(len(rest))
			clear(rest[at:min(len(rest), at+64)])
		}
	}
	return append(content[:safe:safe], rest...)
}

// TestPowerFailure takes the power away at many moments of one busy run.
func TestPowerFailure(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 2))
	points := scaled(40, 10_000)
	lost, torn := 0, 0
	for done := 0; done < points; {
		n, l, c := powerRun(t, rng, min(20, points-done))
		done, lost, torn = done+n, lost+l, torn+c
	}
	t.Logf("%d power failures, %d torn tails, seed %d", points, torn, seed)
	if lost > 0 {
		t.Errorf("%d acknowledged intents lost (seed %d)", lost, seed)
	}
	if torn == 0 {
		t.Error("no failure fell into a write: the test did not test")
	}
}

func powerRun(t *testing.T, rng *rand.Rand, points int) (done, lost, torn int) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "audit")
	p := &powered{synced: map[string]int64{}, named: map[string]bool{}}
	m := &memoryTree{}
	o := testOptions()
	o.files, o.SegmentBytes, o.ReserveBytes, o.KeepSegments = p, 8<<10, -1, 1000
	o.openTree = func(string, signingKey, time.Duration) (tree, error) { return m, nil }
	l := mustOpen(t, dir, o)
	var mu sync.Mutex
	var busy sync.RWMutex // held by the writers; the check of an image stops them
	acked := map[ID]bool{}
	ctx, cancel := context.WithCancel(context.Background())
	var writers sync.WaitGroup
	defer func() { // also when a check fails
		cancel()
		writers.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	for range 8 {
		writers.Go(func() {
			for ctx.Err() == nil {
				busy.RLock()
				id, err := l.Intent(ctx, anIntent(1))
				if err == nil {
					mu.Lock()
					acked[id] = true
					mu.Unlock()
					_ = l.Outcome(ctx, id, Outcome{Result: problem.Performed})
				}
				busy.RUnlock()
			}
		})
	}
	for ; done < points; done++ {
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Microsecond)
		mu.Lock()
		promised := make([]ID, 0, len(acked))
		for id := range acked {
			promised = append(promised, id)
		}
		mu.Unlock()
		size, _ := m.Size()
		after := filepath.Join(t.TempDir(), fmt.Sprint("after", done))
		p.fail(t, rng, dir, after)
		busy.Lock()
		a, b := afterFailure(t, after, size, promised)
		busy.Unlock()
		lost, torn = lost+a, torn+b
	}
	return done, lost, torn
}

func afterFailure(t *testing.T, dir string, size ID, promised []ID) (lost, torn int) {
	t.Helper()
	o := faultyOptions(&faulty{}, &memoryTree{size: size})
	o.ReserveBytes, o.KeepSegments = -1, 1000
	l, err := Open(dir, o)
	if err != nil {
		t.Fatalf("after a power failure: %v", err)
	}
	mustClose(t, l)
	got := intentsInWAL(t, dir)
	for _, id := range promised {
		if !got[id] {
			lost++
		}
	}
	err = tail(filepath.Join(dir, "wal"), 0, func(ps [][]byte) error {
		for _, b := range ps {
			if e, err := decode(b); err == nil && e.Kind == KindWALTorn {
				torn = 1
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lost, torn
}
