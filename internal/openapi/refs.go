package openapi

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"sallyport/internal/tape"
)

// maxHops is how many references may lead to one another before something else stands there.
const maxHops = 32

// ref is the reference that stands in a node, or "".
func ref(n node) string {
	if r := n.get("$ref").text(); r != "" {
		return r
	}
	if n.file != nil && !n.file.legacy {
		return n.get("$dynamicRef").text()
	}
	return ""
}

// deref follows references until something else stands there.
func (d *Document) deref(n node) (node, error) {
	for range maxHops {
		r := ref(n)
		if r == "" {
			return n, nil
		}
		next, err := d.target(n, r)
		if err != nil {
			return node{}, err
		}
		n = next
	}
	return node{}, errors.New("references lead to one another in a circle")
}

// target finds what one reference points to. from is the node that it stands in.
func (d *Document) target(from node, r string) (node, error) {
	name, fragment, _ := strings.Cut(r, "#")
	f := from.file
	if name != "" {
		if i, ok := f.anchor(r, name, fragment); ok {
			return node{f, i}, nil
		}
		var err error
		if f, err = d.load(f, name); err != nil {
			return node{}, fmt.Errorf("$ref %q: %w", short(r), err)
		}
	}
	fragment, err := url.PathUnescape(fragment)
	if err != nil {
		return node{}, fmt.Errorf("$ref %q has a bad escape", short(r))
	}
	if fragment != "" && fragment[0] != '/' {
		if i, ok := f.anchor("#"+fragment, "", fragment); ok {
			return node{f, i}, nil
		}
		return node{}, fmt.Errorf("$ref %q names an anchor that %s does not have", short(r), f.name)
	}
	i, ok := f.resolve(fragment)
	if !ok {
		return node{}, fmt.Errorf("$ref %q points to nothing", short(r))
	}
	return node{f, i}, nil
}

// wide is from how many members on an object gets an index of its names.
const wide = 32

// resolve follows a JSON pointer; many references into one wide object take one walk over it.
func (f *file) resolve(pointer string) (int, bool) {
	at := strings.LastIndexByte(pointer, '/')
	if at < 0 {
		return f.tape.Resolve(pointer)
	}
	parent, ok := f.tape.Resolve(pointer[:at])
	if !ok || f.tape.Nodes[parent].Kind != tape.Object || f.tape.Nodes[parent].Count < wide {
		return f.tape.Resolve(pointer)
	}
	names := f.index[parent]
	if names == nil {
		names = make(map[string]int, f.tape.Nodes[parent].Count)
		for i := parent + 1; i < int(f.tape.Nodes[parent].Next); i = int(f.tape.Nodes[i].Next) {
			names[string(f.tape.Key(i))] = i
		}
		if f.index == nil {
			f.index = map[int]map[string]int{}
		}
		f.index[parent] = names
	}
	i, ok := names[strings.ReplaceAll(strings.ReplaceAll(pointer[at+1:], "~1", "/"), "~0", "~")]
	return i, ok
}

func short(s string) string { return clip(s, 200) }

// clip cuts a text of somebody else's to a length that fits into a line.
func clip(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// anchor finds $anchor, $dynamicAnchor and $id in a 2020-12 file. A name that stands twice is
// none: which one is meant would depend on how the reference was reached.
func (f *file) anchor(whole, base, fragment string) (int, bool) {
	if f.legacy {
		return 0, false
	}
	if f.anchors == nil {
		f.anchors = map[string]int{}
		f.collectAnchors()
	}
	if base != "" && fragment != "" {
		return 0, false
	}
	i, ok := f.anchors[strings.TrimSuffix(whole, "#")]
	return i, ok && i >= 0
}

func (f *file) collectAnchors() {
	for i := range f.tape.Nodes {
		if f.tape.Nodes[i].Kind != tape.Object {
			continue
		}
		for _, key := range []string{"$anchor", "$dynamicAnchor", "$id"} {
			at, ok := f.tape.Find(i, key)
			if !ok || f.tape.Nodes[at].Kind != tape.String {
				continue
			}
			name := "#" + string(f.tape.Text(at))
			if key == "$id" {
				name = strings.TrimSuffix(name[1:], "#")
			}
			if other, twice := f.anchors[name]; twice && other != i {
				f.anchors[name] = -1
				continue
			}
			f.anchors[name] = i
		}
	}
}

// speaksXML reports whether a body or an answer of the file is XML, so that the names of its
// elements matter.
func (f *file) speaksXML() bool {
	if f.xml == nil {
		found := false
		for i := range f.tape.Nodes {
			found = found || f.tape.Nodes[i].Kind == tape.Object && isXML(string(f.tape.Key(i)))
		}
		f.xml = &found
	}
	return *f.xml
}

// load gives a file that from refers to by a relative name.
func (d *Document) load(from *file, name string) (*file, error) {
	switch {
	case strings.Contains(name, "://") || strings.HasPrefix(name, "//"):
		return nil, errors.New("it leads over the network, and nothing is fetched; save that file beside the document and write its name")
	case d.options.Open == nil:
		return nil, errors.New("it leads to another file, which cannot be found from standard input; give the document by its file name")
	}
	name, err := url.PathUnescape(name)
	if err != nil {
		return nil, errors.New("the file name has a bad escape")
	}
	full := path.Join(path.Dir(from.name), name)
	if from == d.main {
		full = path.Clean(name)
	}
	if path.IsAbs(full) || full == ".." || strings.HasPrefix(full, "../") || strings.ContainsAny(full, `\:`) {
		return nil, errors.New("it leads out of the document's folder; put the file into that folder")
	}
	if f, ok := d.files[full]; ok {
		if f == nil {
			return nil, fmt.Errorf("there is no file %s beside the document", full)
		}
		return f, nil
	}
	if len(d.files) >= maxFiles {
		return nil, fmt.Errorf("more than %d files", maxFiles)
	}
	f, err := d.open(full)
	d.files[full] = f
	return f, err
}

// open reads a file, if need be by its base name in the document's own folder: descriptions are
// often handed on without their folders.
func (d *Document) open(full string) (*file, error) {
	data, err := d.options.Open(full)
	if err != nil && path.Base(full) != full {
		data, err = d.options.Open(path.Base(full))
	}
	if err != nil {
		return nil, fmt.Errorf("there is no file %s beside the document", full)
	}
	f, err := parse(full, data)
	if err != nil {
		return nil, err
	}
	f.legacy = d.main.legacy
	if v := (node{f, 0}).get("openapi").text(); v != "" {
		f.legacy = strings.HasPrefix(v, "3.0.")
	}
	return f, nil
}
