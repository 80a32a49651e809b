package openapi

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Hooks are what the caller of Write adds and decides. Every function may be nil.
type Hooks struct {
	// Prefix is the part of the path that stands before the document's own: the server's.
	Prefix func(o Operation) string
	// Note gives the JSON of x-sallyport for the operation. marks are those of everything that
	// it sends and receives.
	Note func(o Operation, marks []Marked) []byte
	// Mark says what is known of a field. Fields that the document marks with x-sallyport
	// itself are not asked about.
	Mark func(f Field) Mark
	// Skip reports parameters that the gate sends itself, such as a key in the query.
	Skip func(in, name string) bool
	// Pattern says whether a pattern can be held; its error names the part that cannot.
	Pattern func(pattern string) error
	// Loose are the pointers of patterns that the operator gave up.
	Loose []string
	// Progress is told how many operations of how many are written.
	Progress func(done, total int)
}

// Field is one parameter, or one member of an object.
type Field struct {
	Name      string
	In        string // path, query or header for a parameter; "" for a member of an object
	Parent    string // the schema or operation that it stands in
	Types     []string
	Format    string
	PII       string // handling by x-twilio.pii: standard or sensitive
	WriteOnly bool
	Listed    bool // its values are listed (enum, const)
	Request   bool
}

// Mark is what is known of a field; the zero Mark is plain data.
type Mark struct {
	Data string // personal, secret or card
	Why  string // in a few words, for a person who reviews it
	ID   bool   // the id of an object
	URL  bool   // the provider will send the visitor, or a call, there
}

// Marked is one field that was marked.
type Marked struct {
	Where string `json:"where"` // the component or operation, and the field: customer.email
	Data  string `json:"data,omitempty"`
	ID    bool   `json:"id,omitempty"`
	URL   bool   `json:"url,omitempty"`
	Why   string `json:"why"`
}

// Result is what Write made.
type Result struct {
	Contract   []byte      // the normal form, indented
	Operations []Operation // those in it
	LeftOut    []Finding   // why the others are not: one or more for each
	Findings   []Finding   // everything else
	Marks      []Marked
	// More is how many findings there were beyond those listed.
	More int
}

// unit is a part of the result that stands or falls as a whole: an operation or a component.
type unit struct {
	w      writer
	name   string
	needs  []*unit
	needed map[*unit]bool
	fatal  []Finding
	soft   []Finding
	more   int // notes beyond those in soft
	marks  []Marked
	source node
	use    direction
	noteAt int // where x-sallyport of an operation belongs into w
}

func (u *unit) need(other *unit) {
	if u.needed[other] {
		return
	}
	if u.needed == nil {
		u.needed = map[*unit]bool{}
	}
	u.needed[other] = true
	u.needs = append(u.needs, other)
}

func finding(n node, what, done string) Finding {
	f := Finding{Pointer: n.pointer(), What: what, Done: done}
	if n.file != nil {
		f.File = n.file.name
	}
	return f
}

// maxNotes bounds what is told of one unit: to name a place takes time.
const maxNotes = 100

func (u *unit) note(n node, done, format string, args ...any) {
	if len(u.soft) >= maxNotes {
		u.more++
		return
	}
	u.soft = append(u.soft, finding(n, fmt.Sprintf(format, args...), done))
}

// refuse records what makes the unit unusable.
func (u *unit) refuse(n node, format string, args ...any) {
	if len(u.fatal) >= maxNotes {
		return // it is unusable already
	}
	f := finding(n, fmt.Sprintf(format, args...), "what needs it is left out")
	f.Fatal = true
	u.fatal = append(u.fatal, f)
}

// export is one Write.
type export struct {
	d       *Document
	hooks   Hooks
	comps   map[compKey]*unit
	names   map[string]int // of components, with how many asked for each
	pending []*unit
	sided   map[node]bool // schemas that read differently in requests and in answers
	refs    map[node]*scan
}

type compKey struct {
	at  node
	use direction
}

// direction says for what a schema is used.
type direction uint8

const (
	both direction = iota // the same for both
	inRequest
	inAnswer
)

// maxOperations is how many operations one Write takes.
const maxOperations = 10_000

// Write writes the operations of these ids in the normal form. Operations that cannot be taken
// over are left out and named; an unknown id is an error.
func (d *Document) Write(ids []string, hooks Hooks) (*Result, error) {
	if len(ids) > maxOperations {
		return nil, fmt.Errorf("%d operations; up to %d are taken at once", len(ids), maxOperations)
	}
	byID := make(map[string]int, len(d.Operations))
	for i, o := range d.Operations {
		byID[o.ID] = i
	}
	x := &export{d: d, hooks: hooks, comps: map[compKey]*unit{}, names: map[string]int{}, sided: map[node]bool{}, refs: map[node]*scan{}}
	var list []Operation
	for _, id := range ids {
		i, ok := byID[id]
		if !ok {
			return nil, fmt.Errorf("the document has no operation %q", id)
		}
		list = append(list, d.Operations[i])
	}
	units := make([]*unit, len(list))
	prefixes := make([]string, len(list))
	for i, o := range list {
		units[i] = x.operation(o)
		if hooks.Prefix != nil {
			prefixes[i] = hooks.Prefix(o)
		}
		x.drain()
		if hooks.Progress != nil {
			hooks.Progress(i+1, len(list))
		}
	}
	return x.finish(list, units, prefixes)
}

// drain writes the components that were asked for.
func (x *export) drain() {
	for len(x.pending) > 0 {
		u := x.pending[len(x.pending)-1]
		x.pending = x.pending[:len(x.pending)-1]
		x.schema(u, u.source, place{use: u.use, parent: u.name})
		x.rootName(u)
	}
}

// freeName gives a component's name, with a number where it is taken.
func (x *export) freeName(name string) string {
	try := name
	for x.names[try] > 0 {
		x.names[name]++
		try = name + "-" + strconv.Itoa(x.names[name])
	}
	x.names[try] = 1
	return try
}

// rootName keeps the name of an XML element whose schema got another name for its requests.
func (x *export) rootName(u *unit) {
	if u.use == inRequest && u.source.isObject() && !u.source.get("xml").ok() && x.d.main.speaksXML() {
		u.w.out = u.w.out[:len(u.w.out)-1]
		u.w.key("xml")
		u.w.open('{')
		u.w.member("name", nameOf(u.source))
		u.w.close('}')
		u.w.close('}')
	}
}

// component gives the unit of a schema that is referred to.
func (x *export) component(target node, use direction) *unit {
	if use != both && !x.differs(target) {
		use = both
	}
	key := compKey{target, use}
	if u, ok := x.comps[key]; ok {
		return u
	}
	u := &unit{source: target, use: use}
	name := componentName(nameOf(target))
	if use == inRequest {
		name += ".request"
	}
	u.name = x.freeName(name)
	x.comps[key] = u
	x.pending = append(x.pending, u)
	return u
}

// nameOf is the last telling step of a schema's pointer.
func nameOf(n node) string {
	steps := strings.Split(n.file.tape.Pointer(n.i), "/")
	for i := len(steps) - 1; i > 0; i-- {
		s := strings.ReplaceAll(strings.ReplaceAll(steps[i], "~1", "/"), "~0", "~")
		if s != "schema" && s != "items" && s != "" && !isDigit(s[0]) {
			return s
		}
	}
	if name := n.get("title").text(); name != "" {
		return name
	}
	return strings.TrimSuffix(strings.TrimSuffix(n.file.name, ".yaml"), ".json")
}

// reach gives everything that a unit needs, itself first.
func (u *unit) reach() []*unit {
	seen := map[*unit]bool{u: true}
	list := []*unit{u}
	for i := 0; i < len(list); i++ {
		for _, next := range list[i].needs {
			if !seen[next] {
				seen[next] = true
				list = append(list, next)
			}
		}
	}
	return list
}

// finish puts the operations that can be taken over into one document.
func (x *export) finish(list []Operation, units []*unit, prefixes []string) (*Result, error) {
	r := &Result{Findings: slices.Clone(x.d.findings.list), More: x.d.findings.more}
	used := map[*unit]bool{}
	paths, order := map[string][]int{}, []string{}
	shapes := map[string]string{}
	for i, o := range list {
		path := prefixes[i] + o.Path
		if other, twice := shapes[shape(o.Method, path)]; twice {
			units[i].refuse(o.node, "it cannot be told apart from %s by method and path", other)
		}
		reached := units[i].reach()
		var fatal []Finding
		for _, u := range reached {
			fatal = append(fatal, u.fatal...)
		}
		for _, f := range fatal {
			f.Operation = o.ID
			r.LeftOut = append(r.LeftOut, f)
		}
		if len(fatal) > 0 {
			continue
		}
		shapes[shape(o.Method, path)] = o.ID
		if _, known := paths[path]; !known {
			order = append(order, path)
		}
		paths[path] = append(paths[path], i)
		r.Operations = append(r.Operations, o)
		for _, u := range reached {
			used[u] = true
		}
	}
	if len(r.Operations) == 0 {
		return r, errNothing
	}
	var comps []*unit
	for _, u := range units {
		if used[u] {
			r.Marks = append(r.Marks, u.marks...)
			delete(used, u)
		}
	}
	for u := range used {
		r.Marks = append(r.Marks, u.marks...)
		comps = append(comps, u)
	}
	slices.SortFunc(comps, func(a, b *unit) int { return strings.Compare(a.name, b.name) })
	slices.SortFunc(r.Marks, func(a, b Marked) int { return strings.Compare(a.Where, b.Where) })
	r.Marks = slices.Compact(r.Marks)
	x.collect(r, units, comps)
	var err error
	r.Contract, err = Pretty(x.assemble(list, units, comps, order, paths))
	return r, err
}

var errNothing = errors.New("no operation is left")

// collect adds the findings of what is in the result, each once.
func (x *export) collect(r *Result, units, comps []*unit) {
	all := &findings{list: r.Findings, more: r.More, seen: map[Finding]bool{}}
	for _, f := range r.Findings {
		all.seen[f] = true
	}
	for i, u := range slices.Concat(units, comps) {
		all.more += u.more
		at := ""
		if i < len(units) {
			at = u.source.pointer()
		}
		for _, f := range u.soft {
			if i < len(units) && (f.Pointer == at || strings.HasPrefix(f.Pointer, at+"/")) {
				f.Operation = u.name
			}
			all.add(f)
		}
	}
	r.Findings, r.More = all.list, all.more
}

func (x *export) assemble(list []Operation, units, comps []*unit, order []string, paths map[string][]int) []byte {
	w := &writer{}
	w.open('{')
	w.member("openapi", "3.1.0")
	w.key("info")
	w.open('{')
	w.key("title")
	w.str(orElse(x.d.Title, x.d.main.name))
	w.key("version")
	w.str(orElse(x.d.APIVersion, "not stated"))
	w.close('}')
	w.key("paths")
	w.open('{')
	for _, path := range order {
		w.key(path)
		w.open('{')
		for _, i := range paths[path] {
			w.key(strings.ToLower(list[i].Method))
			x.noted(w, list[i], units[i])
		}
		w.close('}')
	}
	w.close('}')
	if len(comps) > 0 {
		w.key("components")
		w.open('{')
		w.key("schemas")
		w.open('{')
		for _, u := range comps {
			w.key(u.name)
			w.raw(u.w.out)
		}
		w.close('}')
		w.close('}')
	}
	w.close('}')
	return w.out
}

// noted writes an operation with its x-sallyport, which is known only now.
func (x *export) noted(w *writer, o Operation, u *unit) {
	note := []byte(nil)
	if own := o.node.get("x-sallyport"); own.isObject() {
		note = own.json()
	} else if x.hooks.Note != nil {
		var marks []Marked
		for _, r := range u.reach() {
			marks = append(marks, r.marks...)
		}
		note = x.hooks.Note(o, marks)
	}
	w.raw(u.w.out[:u.noteAt])
	if note != nil {
		w.key("x-sallyport")
		w.out = append(w.out, note...)
	}
	w.out = append(w.out, u.w.out[u.noteAt:]...)
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
