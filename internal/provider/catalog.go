package provider

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"sallyport/internal/contract"
)

// checksum tells versions of one pack apart; it protects from nothing.
var checksum = crc32.MakeTable(crc32.Castagnoli)

//go:embed builtin
var builtin embed.FS

// The files of a provider's folder.
const (
	packFile     = "pack.json"
	contractFile = "contract.json"
)

// Catalog is a set of packs, read from a folder per provider. A pack is loaded when
// it is first asked for and kept; a Catalog is safe for concurrent use.
type Catalog struct {
	ids     []string
	caches  func(dir string) contract.Cache // nil: nothing is kept
	entries map[string]*entry               // complete and fixed after Open; entries fill themselves
}

type entry struct {
	files fs.FS // in which its folder lies
	load  contract.Options
	once  sync.Once
	pack  *Pack
	err   error
}

// UnknownError says that no pack has the wanted id.
type UnknownError struct {
	ID    string
	Near  string   // the nearest id; empty: none is near
	Known []string // all ids, sorted
}

// Error says what to write instead.
func (e *UnknownError) Error() string {
	if e.Near != "" {
		return fmt.Sprintf("the catalog has no provider %q; did you mean %q?", e.ID, e.Near)
	}
	return fmt.Sprintf("the catalog has no provider %q; it has %s", e.ID, strings.Join(e.Known, ", "))
}

// Builtin is the catalog that is compiled into the binary. Every call gives a new
// Catalog with its own cache; keep one.
func Builtin() *Catalog {
	sub, err := fs.Sub(builtin, "builtin")
	if err == nil {
		var c *Catalog
		if c, err = Open(sub); err == nil {
			return c
		}
	}
	return &Catalog{} // an embedded folder always opens; TestBuiltin holds it
}

// Open makes a catalog of files, which holds one folder per provider, named by its id,
// with a pack.json and a contract.json. Nothing in the folders is read yet.
func Open(files fs.FS) (*Catalog, error) {
	dirs, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	c := &Catalog{entries: make(map[string]*entry)}
	for _, d := range dirs {
		if !d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			continue
		}
		c.ids = append(c.ids, d.Name())
		c.entries[d.Name()] = &entry{files: files}
	}
	slices.Sort(c.ids)
	return c, nil
}

// Loading says how the packs of a folder are loaded.
type Loading struct {
	// Only are the operations that will be called, by provider: nothing else of their contracts
	// is compiled. Nil: everything of all of them; a provider that is missing: nothing of it; a
	// nil list: everything of it.
	Only map[string][]string
	// CacheDir is the folder of a cache of compiled contracts, for a catalog that keeps one.
	CacheDir string
}

// Keep gives a catalog that keeps what it compiles of folders in the caches that the function
// opens.
func (c *Catalog) Keep(caches func(dir string) contract.Cache) *Catalog {
	return &Catalog{ids: c.ids, entries: c.entries, caches: caches}
}

// With gives a catalog of these packs and of those in files, a folder such as Open takes. The
// packs of c are not loaded again. A pack of files that has the id of one of c is an error:
// what a known name means must not depend on a folder.
func (c *Catalog) With(files fs.FS, o Loading) (*Catalog, error) {
	more, err := Open(files)
	if err != nil {
		return nil, err
	}
	both := &Catalog{entries: maps.Clone(c.entries), ids: slices.Concat(c.ids, more.ids), caches: c.caches}
	var cache contract.Cache
	if c.caches != nil && o.CacheDir != "" {
		cache = c.caches(o.CacheDir)
	}
	if both.entries == nil {
		both.entries = make(map[string]*entry)
	}
	for _, id := range more.ids {
		if _, taken := c.entries[id]; taken {
			return nil, fmt.Errorf("open catalog: the folder %s has the id of a provider that the catalog has already; rename it, and the id in its %s", id, packFile)
		}
		e := more.entries[id]
		e.load.Cache = cache
		if o.Only != nil {
			if ids, used := o.Only[id]; !used || ids != nil {
				e.load.Only = slices.Concat([]string{}, ids)
			}
		}
		both.entries[id] = e
	}
	slices.Sort(both.ids)
	return both, nil
}

// List gives the ids of all packs, sorted.
func (c *Catalog) List() []string { return slices.Clone(c.ids) }

// Find gives the pack of a provider. The error is an *UnknownError when there is none;
// any other error means that the catalog's own data is broken.
func (c *Catalog) Find(id string) (*Pack, error) {
	e, ok := c.entries[id]
	if !ok {
		near, _ := Nearest(id, c.ids)
		return nil, &UnknownError{ID: id, Near: near, Known: c.List()}
	}
	e.once.Do(func() { e.pack, e.err = c.load(id) })
	return e.pack, e.err
}

// Load gives the packs of the ids in their order; without ids all packs, sorted. It
// stops at the first that cannot be had.
func (c *Catalog) Load(ids ...string) ([]*Pack, error) {
	if len(ids) == 0 {
		ids = c.ids
	}
	packs := make([]*Pack, 0, len(ids))
	for _, id := range ids {
		p, err := c.Find(id)
		if err != nil {
			return nil, err
		}
		packs = append(packs, p)
	}
	return packs, nil
}

func (c *Catalog) load(id string) (*Pack, error) {
	data, err := fs.ReadFile(c.entries[id].files, id+"/"+packFile)
	if err != nil {
		return nil, fmt.Errorf("load provider %s: %w", id, err)
	}
	text, err := fs.ReadFile(c.entries[id].files, id+"/"+contractFile)
	if err != nil {
		return nil, fmt.Errorf("load provider %s: %w", id, err)
	}
	return parse(id, data, text, c.entries[id].load)
}

// Parse makes a pack of the text of its two files and holds it against every rule. id is the
// name of its folder.
func Parse(id string, packText, contractText []byte) (*Pack, error) {
	return parse(id, packText, contractText, contract.Options{})
}

func parse(id string, packText, contractText []byte, o contract.Options) (*Pack, error) {
	pack, err := parsePack(packText)
	if err != nil {
		return nil, fmt.Errorf("load provider %s: %s: %w", id, packFile, err)
	}
	if pack.ID != id {
		return nil, fmt.Errorf("load provider %s: %s: id is %q; write the name of the folder, %q", id, packFile, pack.ID, id)
	}
	if pack.contract, err = contract.LoadWith(id+"/"+contractFile, contractText, o); err != nil {
		return nil, fmt.Errorf("load provider %s: %w", id, err)
	}
	pack.digest = fmt.Sprintf("%x-%08x", len(packText)+len(contractText), crc32.Update(crc32.Checksum(packText, checksum), checksum, contractText))
	if faults := pack.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("load provider %s: %w", id, errors.Join(faults...))
	}
	return pack, nil
}

// parsePack reads pack.json: unknown and repeated keys are refused, because a misspelt
// rule would otherwise silently be no rule.
func parsePack(data []byte) (*Pack, error) {
	switch err := checkKeys(json.NewDecoder(bytes.NewReader(data))); {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the text ends before its closing brace")
	case err != nil:
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	p := &Pack{}
	if err := d.Decode(p); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more text after the closing brace; a pack is one JSON object")
	}
	return p, nil
}

// checkKeys walks one JSON value and refuses a key that stands twice in its object.
func checkKeys(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') && t != json.Delim('[') {
		return nil
	}
	seen := make(map[string]bool)
	for d.More() {
		if t == json.Delim('{') {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			if seen[name] {
				return fmt.Errorf("the key %q stands twice in one object (offset %d)", name, d.InputOffset())
			}
			seen[name] = true
		}
		if err := checkKeys(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
