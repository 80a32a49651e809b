package contract

import (
	"bytes"
	"compress/flate"
	"io"
	"sync"
	"weak"

	"sallyport/internal/tape"
)

// smallDocument is up to how many bytes the descriptions of answers are kept as they are.
const smallDocument = 512 << 10

// answers describes the answers of a large document when somebody asks: for a call they are
// not needed, and in full they take several times the memory of the compiled program. The
// text is kept compressed meanwhile.
type answers struct {
	mu     sync.Mutex
	packed []byte
	doc    weak.Pointer[tape.Tape]
	kept   map[int]*Schema              // by node, of those that were asked for by their status
	seen   map[int]weak.Pointer[Schema] // and of those that somebody looked at
}

// newAnswers keeps a document's text; nil where it is small.
func newAnswers(data []byte) *answers {
	if len(data) <= smallDocument {
		return nil
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil // not for a known level
	}
	if _, err := w.Write(data); err != nil || w.Close() != nil {
		return nil // a buffer takes everything
	}
	return packedAnswers(bytes.Clone(b.Bytes()))
}

func packedAnswers(packed []byte) *answers {
	return &answers{packed: packed, kept: map[int]*Schema{}, seen: map[int]weak.Pointer[Schema]{}}
}

// schema describes the answer whose schema stands at a node. With keep it is remembered.
func (a *answers) schema(node int, keep bool) *Schema {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.kept[node]
	if s == nil {
		s = a.seen[node].Value()
	}
	if s == nil {
		s = a.describe(node)
	}
	if s != nil && keep {
		a.kept[node] = s
	}
	return s
}

func (a *answers) describe(node int) *Schema {
	doc := a.doc.Value()
	if doc == nil {
		if doc = a.read(); doc == nil {
			return nil
		}
		a.doc = weak.Make(doc)
	}
	l := newLoader("", doc)
	s := l.schema(node, false)
	l.finish()
	a.seen[node] = weak.Make(s)
	return s
}

func (a *answers) read() *tape.Tape {
	data, err := io.ReadAll(flate.NewReader(bytes.NewReader(a.packed)))
	doc := new(tape.Tape)
	if err != nil || doc.Parse(data, documentLimits) != nil {
		return nil // it was read before
	}
	return withoutInserted(doc)
}

// tree is the description of an answer.
func (o *Operation) tree(r *replyRule, keep bool) *Schema {
	if r.schema != nil || r.node < 0 || o.doc.answers == nil {
		return r.schema
	}
	return o.doc.answers.schema(r.node, keep)
}
