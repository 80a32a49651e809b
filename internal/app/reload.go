package app

import (
	"context"
	"errors"
	"os"
	"reflect"

	"sallyport/internal/audit"
	"sallyport/internal/config"
)

// watch swaps a new world in on a signal and when the file changes, until ctx ends.
func (g *Gate) watch(ctx context.Context, signals <-chan os.Signal) {
	w := config.Watcher{Path: g.options.Path, Signal: signals, Catalog: g.catalog, Apply: g.apply, Refuse: g.refuse}
	w.Run(ctx)
}

// apply builds the whole new world of a valid file, then swaps it in. It does so too where
// the file is the same, after a signal: what the file names, such as upstream.ca, may be new.
func (g *Gate) apply(file *config.File) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	snapshot, err := g.snapshot(file)
	if err != nil {
		return err
	}
	undo, err := g.swapNames(file)
	if err != nil {
		return err
	}
	if err := g.server.Swap(snapshot); err != nil {
		undo()
		return err
	}
	g.hooks.use()
	if part := needsRestart(g.started, file); part != "" {
		g.log.Warn("a restart is needed", "name", part, "reason", "this part of the file is read at start only; the rest is in force now")
	}
	g.file = file
	g.event(audit.KindConfigLoaded)
	g.log.Info("configuration swapped", "config", file.Hash, "sites", len(file.Sites))
	g.logFile(file)
	return nil
}

// refuse tells why a new file is not in force. Nothing changes.
func (g *Gate) refuse(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var faults config.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			g.log.Error("configuration", "name", f.Path, "line", f.Line, "reason", f.Found, "hint", f.Hint)
		}
	} else {
		g.log.Error("configuration", "error", err)
	}
	g.log.Error("the file is not used; the gate goes on with the one before", "config", g.file.Hash)
	g.event(audit.KindConfigRefused)
}

// needsRestart names the first part that only a start reads and that differs from the file of the start.
func needsRestart(old, now *config.File) string {
	switch {
	case old.Listen.Public != now.Listen.Public || old.Listen.HTTP != now.Listen.HTTP || old.Listen.TLS != now.Listen.TLS:
		return "listen"
	case !reflect.DeepEqual(old.Listen.Behind, now.Listen.Behind):
		return "listen.behind"
	case !reflect.DeepEqual(old.Listen.SDK, now.Listen.SDK):
		return "listen.sdk"
	case old.Store != now.Store || !reflect.DeepEqual(old.Postgres, now.Postgres):
		return "store"
	case !reflect.DeepEqual(old.SharedState, now.SharedState):
		return "shared_state"
	case old.Data != now.Data:
		return "data"
	case old.Keystore != now.Keystore:
		return "secrets.keystore"
	case !reflect.DeepEqual(old.Vault, now.Vault):
		return "secrets.vault"
	}
	return ""
}
