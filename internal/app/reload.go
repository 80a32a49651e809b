package app

import (
	"context"
	"os"

	"sallyport/internal/audit"
	"sallyport/internal/config"
)

// Reload reads the file again and swaps the whole new world in. A bad file changes
// nothing: its faults are logged and returned.
func (g *Gate) Reload() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	file, faults := config.Load(g.options.Path, g.catalog)
	if len(faults) > 0 {
		for _, f := range faults {
			g.log.Error("configuration", "name", f.Path, "line", f.Line, "reason", f.Found)
		}
		g.log.Error("the file is not used; the gate goes on with the one before", "config", g.file.Hash)
		g.event(audit.KindConfigRefused)
		return faults
	}
	if file.Hash == g.file.Hash {
		return nil
	}
	if err := g.swap(file); err != nil {
		g.log.Error("the file is not used; the gate goes on with the one before", "config", g.file.Hash, "error", err)
		g.event(audit.KindConfigRefused)
		return err
	}
	g.log.Info("configuration swapped", "config", file.Hash, "sites", len(file.Sites))
	g.logFile(file)
	return nil
}

func (g *Gate) swap(file *config.File) error {
	if what := needsRestart(g.file, file); what != "" {
		g.log.Warn("a restart is needed", "name", what, "reason", "this part of the file is read at start only; the rest is swapped now")
	}
	snapshot, err := g.snapshot(file)
	if err != nil {
		return err
	}
	if err := g.server.Swap(snapshot); err != nil {
		return err
	}
	g.file = file
	g.event(audit.KindConfigLoaded)
	return nil
}

// needsRestart names the first part of the file that only a start reads.
func needsRestart(old, now *config.File) string {
	switch {
	case old.Listen.Public != now.Listen.Public || old.Listen.HTTP != now.Listen.HTTP || old.Listen.TLS != now.Listen.TLS:
		return "listen"
	case old.Store != now.Store:
		return "store"
	case old.Data != now.Data:
		return "data"
	case old.Keystore != now.Keystore:
		return "secrets.keystore"
	}
	return ""
}

// watch reloads on a signal and when the file changes, until ctx ends.
func (g *Gate) watch(ctx context.Context, signals <-chan os.Signal) {
	changed := make(chan struct{}, 1)
	go config.Watch(ctx, g.options.Path, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		case <-changed:
		}
		_ = g.Reload() // told in the log; the gate goes on
	}
}
