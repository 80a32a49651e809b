package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
)

// bundle reads entry bundle index of a tree of the given size: the file of exactly
// that width, or the full one where the partial ones have been tidied away.
func bundle(dir string, index, size uint64) (raw []byte, name string, err error) {
	p := layout.PartialTileSize(0, index, size)
	name = layout.EntriesPath(index, p)
	raw, err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if missing(err) && p > 0 {
		name = layout.EntriesPath(index, 0)
		raw, err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	}
	if err != nil {
		return nil, name, fmt.Errorf("read entry bundle %d: %w", index, err)
	}
	return raw, name, nil
}

// bundleWidth is how many entries of bundle index belong to a tree of that size.
func bundleWidth(index, size uint64) int {
	if p := layout.PartialTileSize(0, index, size); p > 0 {
		return int(p)
	}
	return layout.EntryBundleWidth
}

// leaves hands the payloads from..to of the tree to fn, bundle by bundle.
func leaves(dir string, from, to ID, fn func([][]byte) error) error {
	for at := uint64(from); at < uint64(to); {
		index := at / layout.EntryBundleWidth
		raw, name, err := bundle(dir, index, uint64(to))
		if err != nil {
			return err
		}
		var b api.EntryBundle
		if err := b.UnmarshalText(raw); err != nil {
			return fmt.Errorf("entry bundle %s: %w", name, err)
		}
		width := bundleWidth(index, uint64(to))
		if len(b.Entries) < width {
			return fmt.Errorf("entry bundle %s has %d entries, not %d", name, len(b.Entries), width)
		}
		if err := fn(b.Entries[at%layout.EntryBundleWidth : width]); err != nil {
			return err
		}
		at = (index + 1) * layout.EntryBundleWidth
	}
	return nil
}

// treeState is what Tessera has integrated: it may be ahead of the checkpoint.
type treeState struct {
	Size uint64 `json:"size"`
	Root []byte `json:"root"`
}

func readTreeState(dir string) (treeState, error) {
	name := filepath.Join(dir, ".state", "treeState")
	raw, err := os.ReadFile(name)
	if err != nil {
		return treeState{}, fmt.Errorf("read state of Merkle log: %w", err)
	}
	var s treeState
	if err := json.Unmarshal(raw, &s); err != nil {
		return treeState{}, fmt.Errorf("read state of Merkle log: %w", err)
	}
	if again, err := json.Marshal(s); err != nil || !bytes.Equal(again, raw) {
		return treeState{}, fmt.Errorf("%s is not in the form that the log writes", name)
	}
	return s, nil
}
