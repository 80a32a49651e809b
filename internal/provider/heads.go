package provider

import (
	"fmt"
	"io/fs"
)

// Heads gives every pack as its pack.json says, sorted by id, without contract and unvalidated:
// for a look at all providers that costs no loading of contracts. The packs are the caller's.
func (c *Catalog) Heads() ([]*Pack, error) {
	packs := make([]*Pack, 0, len(c.ids))
	for _, id := range c.ids {
		data, err := fs.ReadFile(c.entries[id].files, id+"/"+packFile)
		if err != nil {
			return nil, fmt.Errorf("read provider %s: %w", id, err)
		}
		pack, err := parsePack(data)
		if err != nil {
			return nil, fmt.Errorf("read provider %s: %s: %w", id, packFile, err)
		}
		packs = append(packs, pack)
	}
	return packs, nil
}
