// Package engine prepares the contract engine over Stripe's own description for the
// benchmarks: the work that one call costs, as functions that can be measured.
//
// Nothing here is special to the benchmarks: the schemas are Stripe's, unchanged, and the
// marks of sensitive fields are set by the names that such fields have there.
package engine

import (
	"fmt"

	"sallyport/bench/bodies"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
	"sallyport/internal/wire"
)

// Where the schemas stand in Stripe's document.
const (
	Intent = "/components/schemas/payment_intent"
	List   = "/paths/~1v1~1payment_intents/get/responses/200/content/application~1json/schema"
	Form   = "/paths/~1v1~1payment_intents/post/requestBody/content/application~1x-www-form-urlencoded/schema"
)

// base is the address that Stripe's document has while it is compiled.
const base = "https://api.stripe.example/spec3.json"

// Document reads Stripe's description.
func Document() (*tape.Tape, error) {
	doc := new(tape.Tape)
	if err := doc.Parse(bodies.Spec(), tape.Limits{}); err != nil {
		return nil, fmt.Errorf("read Stripe's description: %w", err)
	}
	return doc, nil
}

// Compile compiles the schemas at these pointers and all that they reach.
func Compile(doc *tape.Tape, pointers ...string) (*schema.Program, []schema.ID, error) {
	c := schema.NewCompiler(doc, base, schema.Config{Dialect: schema.OpenAPI30, Marks: marks})
	ids := make([]schema.ID, len(pointers))
	for k, p := range pointers {
		node, ok := doc.Resolve(p)
		if !ok {
			return nil, nil, fmt.Errorf("compile: Stripe's description has nothing at %s", p)
		}
		var err error
		if ids[k], err = c.Compile(node); err != nil {
			return nil, nil, fmt.Errorf("compile %s: %w", p, err)
		}
	}
	p, err := c.Finish()
	return p, ids, err
}

// marks tells sensitive fields by their names, as a pack's annotations do.
func marks(t *tape.Tape, node int) (schema.Mark, error) {
	switch string(t.Key(node)) {
	case "receipt_email", "email", "phone", "name", "line1", "line2", "city", "postal_code", "ip_address":
		return schema.Personal, nil
	case "client_secret":
		return schema.Secret, nil
	case "number", "cvc":
		return schema.Card, nil
	}
	return 0, nil
}

// Operations are the pointers of the schemas of every operation's bodies.
func Operations(doc *tape.Tape) (pointers []string, operations int) {
	return operationsOf(doc, func(string) bool { return true })
}

// OperationsAt is Operations for one path.
func OperationsAt(doc *tape.Tape, path string) (pointers []string, operations int) {
	return operationsOf(doc, func(p string) bool { return p == path })
}

func operationsOf(doc *tape.Tape, wanted func(path string) bool) (pointers []string, operations int) {
	paths, ok := doc.Resolve("/paths")
	if !ok {
		return nil, 0
	}
	for _, path := range children(doc, paths) {
		if !wanted(string(doc.Key(path))) {
			continue
		}
		for _, method := range children(doc, path) {
			if i, ok := doc.Find(method, "operationId"); !ok || doc.Nodes[i].Kind != tape.String {
				continue
			}
			operations++
			pointers = append(pointers, contents(doc, method)...)
		}
	}
	return pointers, operations
}

// contents are the schemas of an operation's bodies.
func contents(doc *tape.Tape, operation int) (pointers []string) {
	holders := []int{}
	if body, ok := doc.Find(operation, "requestBody"); ok {
		holders = append(holders, body)
	}
	if answers, ok := doc.Find(operation, "responses"); ok {
		holders = append(holders, children(doc, answers)...)
	}
	for _, holder := range holders {
		content, ok := doc.Find(holder, "content")
		if !ok {
			continue
		}
		for _, media := range children(doc, content) {
			if s, ok := doc.Find(media, "schema"); ok {
				pointers = append(pointers, doc.Pointer(s))
			}
		}
	}
	return pointers
}

func children(t *tape.Tape, i int) (all []int) {
	for c := i + 1; c < int(t.Nodes[i].Next); c = int(t.Nodes[c].Next) {
		all = append(all, c)
	}
	return all
}

// Bench is one connection's worth of the engine: a program, and the memory of one call at
// a time. It is not safe for concurrent use.
type Bench struct {
	Program            *schema.Program
	Intent, List, Form schema.ID

	shape  schema.Shape
	reader wire.Reader
	writer wire.Writer
	into   tape.Builder
	tape   tape.Tape
	out    []byte
	log    []byte
	browse *schema.Lens
}

// New compiles what the benchmarks use.
func New() (*Bench, error) {
	doc, err := Document()
	if err != nil {
		return nil, err
	}
	p, ids, err := Compile(doc, Intent, List, Form)
	if err != nil {
		return nil, err
	}
	b := &Bench{Program: p, Intent: ids[0], List: ids[1], Form: ids[2], shape: p.Shape(ids[2]), browse: &schema.Lens{}}
	for _, name := range []string{"id", "client_secret", "status", "amount", "currency"} {
		b.browse.Grow(name, false).All = true
	}
	b.browse.Spread()
	return b, nil
}

// Tape only reads the text.
func (b *Bench) Tape(text []byte) error { return b.tape.Parse(text, tape.Limits{}) }

// Answer does what an answer costs: read, check, classify, and write what the contract
// knows into memory that is used again. It gives what was sensitive.
func (b *Bench) Answer(text []byte, root schema.ID) (schema.Mark, error) {
	return b.answer(text, root, schema.Everything(), false)
}

// AnswerFresh is Answer with the output in memory of its own, as a call that passes it on
// has it.
func (b *Bench) AnswerFresh(text []byte, root schema.ID) ([]byte, error) {
	b.out = make([]byte, 0, len(text))
	_, err := b.answer(text, root, schema.Everything(), false)
	out := b.out
	b.out = nil
	return out, err
}

// Browse is Answer for a browser that sees five fields.
func (b *Bench) Browse(text []byte, root schema.ID) error {
	_, err := b.answer(text, root, b.browse, false)
	return err
}

// Logged is Answer with the rendering for the log.
func (b *Bench) Logged(text []byte, root schema.ID) error {
	_, err := b.answer(text, root, schema.Everything(), true)
	return err
}

func (b *Bench) answer(text []byte, root schema.ID, lens *schema.Lens, logged bool) (schema.Mark, error) {
	m := b.Program.Get()
	defer m.Put()
	v, err := m.Read(&b.tape, text, tape.Limits{}, root)
	if err != nil {
		return 0, err
	}
	if v != schema.Valid {
		return 0, fmt.Errorf("the answer is %s: %+v", v, m.Explain(schema.Everything(), 3))
	}
	b.out, _ = m.AppendReduced(b.out[:0], lens)
	if logged {
		b.log = m.AppendRedacted(b.log[:0])
	}
	return m.Sensitive(), nil
}

// Outcome does with any text what is done with an answer, to the end: faults are collected
// and what can be shown is reduced and rendered. It says in a word what became of it.
func (b *Bench) Outcome(text []byte, root schema.ID) string {
	m := b.Program.Get()
	defer m.Put()
	v, err := m.Read(&b.tape, text, tape.Limits{}, root)
	if err != nil {
		return "not read"
	}
	if v == schema.Invalid {
		m.Explain(schema.Everything(), 20)
	}
	if v != schema.TooComplex {
		b.out, _ = m.AppendReduced(b.out[:0], schema.Everything())
		b.log = m.AppendRedacted(b.log[:0])
	}
	return v.String()
}

// Out is what the last answer was reduced to.
func (b *Bench) Out() []byte { return b.out }

// Log is the last rendering for the log.
func (b *Bench) Log() []byte { return b.log }

// Request does what a form costs: read, check against the closed world, classify.
func (b *Bench) Request(form []byte) error {
	if err := b.Read(form); err != nil {
		return err
	}
	m := b.Program.Get()
	defer m.Put()
	if v := m.Check(&b.tape, 0, b.Form, schema.Request); v != schema.Valid {
		return fmt.Errorf("the form is %s: %+v", v, m.Explain(schema.Everything(), 3))
	}
	m.Sensitive()
	return nil
}

// Sent is Request, with the form written anew for the provider.
func (b *Bench) Sent(form []byte) error {
	err := b.Request(form)
	if err == nil {
		b.out, err = b.writer.Form(b.out[:0], &b.tape, 0, wire.Brackets, b.shape)
	}
	return err
}

// Value is a form as a tree, for the validators that want one.
func (b *Bench) Value(form []byte) (any, error) {
	if err := b.Read(form); err != nil {
		return nil, err
	}
	return b.tape.Value(0), nil
}

// Read only reads the form.
func (b *Bench) Read(form []byte) error {
	b.into.Start(&b.tape, tape.Limits{})
	if err := b.reader.Form(&b.into, form, wire.Brackets, b.shape); err != nil {
		return err
	}
	return b.into.Done()
}
