package contract

import (
	"mime"
	"slices"
	"strings"
	"sync"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
	"sallyport/internal/wire"
)

// tapes of answers are used again; keepTape bounds what one keeps.
var tapes = sync.Pool{New: func() any { return new(tape.Tape) }}

const keepTape = 1 << 20

// CheckResponse checks an answer and reduces it to a view (nil: all that the contract
// knows). Unknown fields are dropped and counted, never an error. Faults concern only
// fields that the caller would see; a field whose type is wrong is left out of the
// Reply. The error is a *problem.Error and means that the answer cannot be used at all:
// not JSON, a duplicate name, invalid UTF-8, a media type or a 2xx status that the
// contract does not have, or more work than its size allows.
//
// A view describes the success answer. For statuses from 300 on it is not applied: then
// the fields that the contract knows are kept, without those marked secret unless v is
// nil, and the caller of CheckResponse decides what of them goes on.
//
// The Reply owns its memory: nothing of body is kept.
func (o *Operation) CheckResponse(status int, contentType string, body []byte, v *View) (Reply, []problem.Fault, error) {
	rule, listed := o.reply(status)
	if !listed && status < 300 {
		return Reply{}, nil, refuse(problem.UpstreamContract, "the contract of %s has no answer with status %d", o.ID, status)
	}
	if rule.node < 0 || !listed {
		return Reply{Dropped: min(1, len(body))}, nil, nil
	}
	t := tapes.Get().(*tape.Tape)
	defer func() {
		t.Reset(keepTape)
		tapes.Put(t)
	}()
	m := o.doc.prog.Get()
	defer m.Put()
	see := viewFor(status, v)
	verdict, err := o.readReply(m, t, &rule, contentType, body)
	if err != nil {
		return Reply{}, nil, err
	}
	if verdict == schema.TooComplex {
		return Reply{}, nil, refuse(problem.UpstreamMalformed, "the answer has too many possible readings")
	}
	var before []schema.Step
	if rule.root != "" {
		before = append(before, named(rule.root))
	}
	var faults []problem.Fault
	if verdict == schema.Invalid {
		for _, f := range m.Explain(see, maxFaults) {
			faults = append(faults, faultAt(append(before[:len(before):len(before)], f.Path...), f.Found, f.Want, f.Near))
		}
	}
	r, err := o.reduce(m, t, see, &rule)
	if err != nil {
		return Reply{}, nil, err
	}
	return r, faults, nil
}

// reduce writes what of a checked answer is seen.
func (o *Operation) reduce(m *schema.Machine, t *tape.Tape, see *schema.Lens, rule *replyRule) (Reply, error) {
	var r Reply
	text, tally := m.AppendReduced(make([]byte, 0, len(t.Src)), see)
	if len(text) > 0 {
		r.Body, r.ContentType = text, JSONType
	}
	if len(text) > 0 && rule.xmlRoot != "" {
		var err error
		if r.Body, err = o.writeXML(rule, text); err != nil {
			return Reply{}, err
		}
		r.ContentType = XMLType
	}
	root := rule.root
	r.Dropped, r.Unknown, r.Reduced = tally.Dropped, tally.Unknown, tally.Reduced
	for i := range r.Unknown {
		r.Unknown[i] = below(root, r.Unknown[i])
	}
	if m.Sensitive() != 0 {
		r.Sensitive = sensitiveFields(m, t, root)
	}
	return r, nil
}

// below puts a root's name before a path.
func below(root, path string) string {
	switch {
	case root == "":
		return path
	case path == "" || path[0] == '[' || path[0] == '{':
		return root + path
	}
	return root + "." + path
}

func viewFor(status int, v *View) *schema.Lens {
	switch {
	case v == nil:
		return schema.Everything()
	case status >= 300:
		return publicOnly
	}
	return v.root
}

var publicOnly = &schema.Lens{All: true}

// readReply reads and checks an answer of the media type that the contract has.
func (o *Operation) readReply(m *schema.Machine, t *tape.Tape, rule *replyRule, contentType string, body []byte) (schema.Verdict, error) {
	want := JSONType
	if rule.xmlRoot != "" {
		want = XMLType
	}
	if contentType != JSONType || want != JSONType {
		media, params, err := mime.ParseMediaType(contentType)
		charset, given := params["charset"]
		if err != nil || mediaFamily(media) != want || given && !strings.EqualFold(charset, "utf-8") {
			return schema.Invalid, refuse(problem.UpstreamMalformed, "the answer is not %s in UTF-8", strings.ToUpper(strings.TrimPrefix(want, "application/")))
		}
	}
	if want == XMLType {
		if err := o.readXML(t, rule, body); err != nil {
			return schema.Invalid, err
		}
		return m.Check(t, 0, rule.id, schema.Response), nil
	}
	verdict, err := m.Read(t, body, bodyLimits, rule.id)
	if err != nil {
		return verdict, problem.Wrap(err, problem.UpstreamMalformed, "the answer is not acceptable JSON")
	}
	return verdict, nil
}

func (o *Operation) readXML(t *tape.Tape, rule *replyRule, body []byte) error {
	r := readers.Get().(*wire.Reader)
	defer readers.Put(r)
	var b tape.Builder
	b.Start(t, bodyLimits)
	err := r.XML(&b, body, rule.xmlRoot, o.doc.prog.Shape(rule.id))
	if err == nil {
		err = b.Done()
	}
	if err != nil {
		return problem.Wrap(err, problem.UpstreamMalformed, "the answer is not acceptable XML")
	}
	return nil
}

// writeXML writes a reduced answer in the language it came in.
func (o *Operation) writeXML(rule *replyRule, reduced []byte) ([]byte, error) {
	var t tape.Tape
	if err := t.Parse(reduced, bodyLimits); err != nil {
		return nil, problem.Wrap(err, problem.UpstreamMalformed, "the answer cannot be written")
	}
	w := writers.Get().(*wire.Writer)
	defer writers.Put(w)
	out, err := w.XML(nil, &t, 0, rule.xmlRoot, o.doc.prog.Shape(rule.id))
	if err != nil {
		return nil, problem.Wrap(err, problem.UpstreamMalformed, "the answer cannot be written as XML")
	}
	return out, nil
}

// maxSensitive is how many different places of one mark are listed.
const maxSensitive = 100

// sensitiveFields lists the places of an answer that are marked, elements written []: one
// walk over the tape, with the containers around the current value on a stack.
func sensitiveFields(m *schema.Machine, t *tape.Tape, root string) map[Sensitivity][]string {
	type box struct {
		node int
		mark Sensitivity // of the container and all around it
	}
	var boxes [maxDepth + 1]box
	var text [128]byte
	depth, out := 0, make(map[Sensitivity][]string, 3)
	for i := range t.Nodes {
		for depth > 0 && i >= int(t.Nodes[boxes[depth-1].node].Next) {
			depth--
		}
		above := Plain
		if depth > 0 {
			above = boxes[depth-1].mark
		}
		n := &t.Nodes[i]
		data := Plain
		if mark := m.Marks(i); mark != 0 {
			data = sensitivity(mark)
		}
		if data != Plain && data != above && n.Kind != tape.Null && len(out[data]) < maxSensitive { // null holds nothing
			path := append(text[:0], root...)
			for k := 1; k < depth; k++ {
				path = appendStep(path, t, boxes[k-1].node, boxes[k].node)
			}
			if depth > 0 {
				path = appendStep(path, t, boxes[depth-1].node, i)
			}
			if list := out[data]; !slices.Contains(list, string(path)) {
				out[data] = append(list, string(path))
			}
		}
		if n.Kind >= tape.Array {
			boxes[depth] = box{i, stronger(above, data)}
			depth++
		}
	}
	return out
}

// appendStep appends a member, or every element, to a path.
func appendStep(path []byte, t *tape.Tape, up, kid int) []byte {
	if t.Nodes[up].Kind == tape.Array {
		return append(path, "[]"...)
	}
	name := t.Key(kid)
	if !pathName(name) || !showable(name) {
		return append(append(append(path, '{'), showName(string(name))...), '}')
	}
	if len(path) > 0 {
		path = append(path, '.')
	}
	return append(path, name...)
}
