package config

import (
	"context"
	"crypto/sha256"
	"os"
	"time"
)

// Watcher tells when a file should be read again: on a signal, and when its bytes change. It looks at
// the path, not at an open file, so that editors and deployments that write a new file and rename it
// over the old one are seen. It is not safe for concurrent use; Run it once.
type Watcher struct {
	Path string
	// Every is the pause between looks; 0 is one second.
	Every time.Duration
	// Signal makes a look at once and reports even if nothing changed (SIGHUP); nil: none.
	Signal <-chan os.Signal
	// Catalog is what new files are checked against.
	Catalog Catalog
	// Apply takes a new, valid file. Its error means that the old one stays in force.
	Apply func(*File) error
	// Refuse hears why a new file is not in force: Faults, or the error of Apply. The
	// old file stays in force.
	Refuse func(error)
}

// look is what can be seen of a file cheaply; settled says that it was the same at two looks.
type look struct {
	modified time.Time
	size     int64
	sum      [sha256.Size]byte
}

// Run watches until ctx ends. The file as it stands when Run starts counts as applied.
func (w *Watcher) Run(ctx context.Context) {
	every := w.Every
	if every <= 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	applied := w.look(look{})
	pending := applied
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.Signal:
			pending = w.look(look{})
			applied = pending
			w.reload()
		case <-tick.C:
			now := w.look(pending)
			// A file that is being written is taken when it has kept still for one look.
			if now.sum != applied.sum && now == pending {
				applied = now
				w.reload()
			}
			pending = now
		}
	}
}

// look reads size, time and digest; a file that cannot be read has the zero look. The digest is that of
// the last look where size and time are.
func (w *Watcher) look(last look) look {
	info, err := os.Stat(w.Path)
	if err != nil {
		return look{}
	}
	if info.ModTime().Equal(last.modified) && info.Size() == last.size {
		return last
	}
	data, fault := read(w.Path)
	if fault != nil {
		return look{}
	}
	return look{modified: info.ModTime(), size: info.Size(), sum: sha256.Sum256(data)}
}

func (w *Watcher) reload() {
	file, faults := Load(w.Path, w.Catalog)
	if len(faults) > 0 {
		w.Refuse(faults)
		return
	}
	if err := w.Apply(file); err != nil {
		w.Refuse(err)
	}
}
