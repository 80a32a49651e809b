package audit

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
)

// checkTree computes the whole tree again from its entries.
func (v *verifier) checkTree() {
	t := &rebuilt{v: v, dir: filepath.Join(v.dir, "tree"), size: v.state.Size, genuine: map[string][]byte{},
		top: (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)}
	t.compareRoots(0)
	for index := uint64(0); index*layout.EntryBundleWidth < t.size; index++ {
		if !t.addBundle(index) {
			return // without these entries nothing above them can be computed
		}
	}
	t.checkUpperTiles()
	t.checkFiles()
}

// rebuilt is the tree as computed from the entries.
type rebuilt struct {
	v    *verifier
	dir  string
	size uint64
	top  *compact.Range
	// level1 are the roots of full bundles, from which the upper tiles follow.
	level1 [][]byte
	// genuine are tile files that were compared with what they must be, by name, as
	// far as partial versions of them may lie about.
	genuine map[string][]byte
}

// addBundle reads one entry bundle, follows its entries and checks its hash tile.
func (t *rebuilt) addBundle(index uint64) bool {
	raw, name, err := bundle(t.dir, index, t.size)
	if err != nil {
		t.v.fault("tree/"+name, "%v", err)
		return false
	}
	var b api.EntryBundle
	width := bundleWidth(index, t.size)
	if err := b.UnmarshalText(raw); err != nil || len(b.Entries) < width {
		t.v.fault("tree/"+name, "does not hold %d entries", width)
		return false
	}
	if p := layout.PartialTileSize(0, index, t.size); name == layout.EntriesPath(index, p) && len(b.Entries) != width {
		t.v.fault("tree/"+name, "holds %d entries instead of %d", len(b.Entries), width)
	}
	var hashes []byte
	full := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for i, payload := range b.Entries[:width] {
		id := index*layout.EntryBundleWidth + uint64(i)
		leaf := rfc6962.DefaultHasher.HashLeaf(payload)
		hashes = append(hashes, leaf...)
		if err := t.append(full, leaf); err != nil {
			t.v.fault("tree", "%v", err)
			return false
		}
		t.v.compare(ID(id), payload)
		t.v.follow(fmt.Sprintf("entry %d (Merkle log)", id), payload)
		t.compareRoots(id + 1)
	}
	if width == layout.EntryBundleWidth {
		root, err := full.GetRootHash(nil)
		if err != nil {
			t.v.fault("tree", "%v", err)
			return false
		}
		t.level1 = append(t.level1, root)
	}
	t.checkTile(0, index, hashes)
	return true
}

func (t *rebuilt) append(full *compact.Range, leaf []byte) error {
	if err := full.Append(leaf, nil); err != nil {
		return err
	}
	return t.top.Append(leaf, nil)
}

// compareRoots compares the root at size with whoever made a statement about it.
func (t *rebuilt) compareRoots(size uint64) {
	v := t.v
	claims := []struct {
		where string
		size  uint64
		root  []byte
	}{{"tree/.state/treeState", v.state.Size, v.state.Root}}
	if v.signed != nil {
		claims = append(claims, struct {
			where string
			size  uint64
			root  []byte
		}{"tree/checkpoint", v.signed.Size, v.signed.Hash})
	}
	if v.earlier != nil {
		claims = append(claims, struct {
			where string
			size  uint64
			root  []byte
		}{"the given checkpoint", v.earlier.Size, v.earlier.Hash})
	}
	for _, c := range claims {
		if c.size != size {
			continue
		}
		root := rfc6962.DefaultHasher.EmptyRoot()
		if size > 0 {
			var err error
			if root, err = t.top.GetRootHash(nil); err != nil {
				v.fault(c.where, "%v", err)
				continue
			}
		}
		if !bytes.Equal(root, c.root) {
			v.fault(c.where, "its root is not that of the %d entries: entries were changed, swapped or taken away", size)
		}
	}
}

// checkUpperTiles computes the tiles above the leaves, level by level.
func (t *rebuilt) checkUpperTiles() {
	for level, nodes := uint64(1), t.level1; len(nodes) > 0; level++ {
		var next [][]byte
		for index := 0; index*layout.TileWidth < len(nodes); index++ {
			part := nodes[index*layout.TileWidth : min(len(nodes), (index+1)*layout.TileWidth)]
			t.checkTile(level, uint64(index), bytes.Join(part, nil))
			if len(part) == layout.TileWidth {
				root, err := perfectRoot(part)
				if err != nil {
					t.v.fault("tree", "%v", err)
					return
				}
				next = append(next, root)
			}
		}
		nodes = next
	}
}

func perfectRoot(nodes [][]byte) ([]byte, error) {
	r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for _, n := range nodes {
		if err := r.Append(n, nil); err != nil {
			return nil, err
		}
	}
	return r.GetRootHash(nil)
}

// checkTile compares a hash tile file with the hashes that belong in it.
func (t *rebuilt) checkTile(level, index uint64, want []byte) {
	p := layout.PartialTileSize(level, index, t.size)
	name := layout.TilePath(level, index, p)
	got, err := os.ReadFile(filepath.Join(t.dir, filepath.FromSlash(name)))
	if missing(err) && p > 0 {
		full := layout.TilePath(level, index, 0)
		if got, err = os.ReadFile(filepath.Join(t.dir, filepath.FromSlash(full))); err == nil {
			name, got = full, got[:min(len(got), len(want))]
		}
	}
	switch {
	case err != nil:
		t.v.fault("tree/"+name, "cannot be read: %v", err)
	case !bytes.Equal(got, want):
		t.v.fault("tree/"+name, "does not hold the hashes of its entries")
	}
	t.genuine[layout.TilePath(level, index, 0)] = want
}

// checkFiles looks at every file of the tree: partial tiles of earlier sizes must be
// the beginning of the present ones, and nothing else may be there.
func (t *rebuilt) checkFiles() {
	err := filepath.WalkDir(t.dir, func(path string, item fs.DirEntry, err error) error {
		if err != nil || item.IsDir() {
			return skipGone(err)
		}
		rel, err := filepath.Rel(t.dir, path)
		if err != nil {
			return err
		}
		t.checkFile(filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.v.fault("tree", "cannot be read: %v", err)
	}
}

func skipGone(err error) error {
	if missing(err) { // tidied away by the running gate
		return nil
	}
	return err
}

func (t *rebuilt) checkFile(name string) {
	switch {
	case name == "checkpoint", name == ".state/treeState":
	case strings.HasPrefix(name, ".state/"):
		t.checkStateFile(name)
	case strings.HasPrefix(name, "tile/entries/"):
		t.checkOldBundle(name)
	case strings.HasPrefix(name, "tile/"):
		t.checkOldTile(name)
	case temporary(name, "checkpoint"):
		t.v.note("tree/%s was left by a crash", name)
	default:
		t.v.fault("tree/"+name, "is no file of the log")
	}
}

func (t *rebuilt) checkStateFile(name string) {
	base := strings.TrimPrefix(name, ".state/")
	raw, err := os.ReadFile(filepath.Join(t.dir, filepath.FromSlash(name)))
	switch {
	case missing(err):
	case err != nil:
		t.v.fault("tree/"+name, "cannot be read: %v", err)
	case strings.HasSuffix(base, ".lock"):
		if len(raw) > 0 {
			t.v.fault("tree/"+name, "is a lock and should be empty")
		}
	case base == "version":
		if string(raw) != "1" {
			t.v.fault("tree/"+name, "is not the version that this binary reads")
		}
	case base == "gcState":
		t.checkTidied(name, raw)
	case temporary(base, "treeState"), temporary(base, "version"), temporary(base, "gcState"):
		t.v.note("tree/%s was left by a crash", name)
	default:
		t.v.fault("tree/"+name, "is no file of the log")
	}
}

// checkTidied checks the note of how far partial tiles were tidied away.
func (t *rebuilt) checkTidied(name string, raw []byte) {
	number, ok := strings.CutPrefix(string(raw), `{"fromSize":`)
	number, ok2 := strings.CutSuffix(number, "}")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || !ok2 || err != nil || strconv.FormatUint(n, 10) != number || n > t.size || n%layout.EntryBundleWidth != 0 {
		t.v.fault("tree/"+name, "is not in the form that the log writes")
	}
}

// temporary reports whether name is one that Tessera writes before it renames.
func temporary(name, of string) bool {
	rest, ok := strings.CutPrefix(name, of)
	if !ok || rest == "" {
		return false
	}
	_, err := strconv.ParseUint(rest, 10, 32)
	return err == nil
}

func (t *rebuilt) checkOldBundle(name string) {
	index, p, ok := t.place(name, "tile/entries/")
	if !ok || t.ahead(name, 0, index, p) {
		return
	}
	raw, err := os.ReadFile(filepath.Join(t.dir, filepath.FromSlash(name)))
	if err != nil {
		if !missing(err) {
			t.v.fault("tree/"+name, "cannot be read: %v", err)
		}
		return
	}
	whole, _, err := bundle(t.dir, index, t.size)
	var b api.EntryBundle
	if err != nil || !bytes.HasPrefix(whole, raw) || b.UnmarshalText(raw) != nil || len(b.Entries) != int(p) {
		t.v.fault("tree/"+name, "is not the first %d entries of its bundle", p)
	}
}

func (t *rebuilt) checkOldTile(name string) {
	level, rest, ok := strings.Cut(strings.TrimPrefix(name, "tile/"), "/")
	l, err := strconv.ParseUint(level, 10, 8)
	if !ok || err != nil || rest == "" {
		t.v.fault("tree/"+name, "is no file of the log")
		return
	}
	index, p, ok := t.place(name, "tile/"+level+"/")
	if !ok || t.ahead(name, l, index, p) {
		return
	}
	raw, err := os.ReadFile(filepath.Join(t.dir, filepath.FromSlash(name)))
	if err != nil {
		if !missing(err) {
			t.v.fault("tree/"+name, "cannot be read: %v", err)
		}
		return
	}
	if want := t.genuine[layout.TilePath(l, index, 0)]; len(raw) != int(p)*32 || !bytes.HasPrefix(want, raw) {
		t.v.fault("tree/"+name, "does not hold the hashes of its entries")
	}
}

// place parses the number and the width in a tile's name; what Tessera left half
// written is noted, anything else is a fault.
func (t *rebuilt) place(name, prefix string) (index, width uint64, ok bool) {
	rest := strings.TrimPrefix(name, prefix)
	tile, partial, isPartial := strings.Cut(rest, ".p/")
	width = layout.TileWidth
	if isPartial {
		n, err := strconv.ParseUint(partial, 10, 64)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != partial {
			t.v.fault("tree/"+name, "is no file of the log")
			return 0, 0, false
		}
		if width = n; n >= layout.TileWidth {
			t.v.note("tree/%s was left by a crash", name)
			return 0, 0, false
		}
	}
	parts := strings.Split(tile, "/")
	for i, part := range parts {
		digits := part
		if i < len(parts)-1 {
			digits = strings.TrimPrefix(part, "x")
		}
		n, err := strconv.ParseUint(digits, 10, 64)
		if i == len(parts)-1 && err == nil && len(digits) > 3 && !isPartial {
			t.v.note("tree/%s was left by a crash", name)
			return 0, 0, false
		}
		if err != nil || n > 999 || len(digits) != 3 {
			t.v.fault("tree/"+name, "is no file of the log")
			return 0, 0, false
		}
		index = index*1000 + n
	}
	if layout.NWithSuffix(0, index, 0) != tile {
		t.v.fault("tree/"+name, "is no file of the log")
		return 0, 0, false
	}
	return index, width, true
}

// ahead notes tiles that were written before the tree's state was: a crash came
// between, and the next start writes them again.
func (t *rebuilt) ahead(name string, level, index, width uint64) bool {
	unit := uint64(1) << (8 * level)
	if (index*layout.TileWidth+width)*unit <= t.size {
		return false
	}
	t.v.note("tree/%s is of a bigger tree: the gate is writing, or crashed while it did", name)
	return true
}
