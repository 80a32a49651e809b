// Package mock answers operations as the provider would, from its contract alone: every
// answer fits the contract, looks like the provider's (id prefixes, formats), is the
// same for the same seed and the same calls, and what was created can be read again.
//
// It knows no provider: hints stand in the contract (x-sallyport.mock). It is not a
// simulation of a provider's rules: it accepts what the contract accepts. It makes no
// network call; the memory of what was created is bounded and is lost with the process.
package mock

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// maxObjects bounds what one mock remembers; the oldest is forgotten first.
const maxObjects = 10_000

// Provider answers for one connection. It is safe for concurrent use.
type Provider struct {
	pack   *provider.Pack
	faults site.MockFaults
	now    func() time.Time

	mu      sync.Mutex
	rng     *rand.Rand
	calls   uint64
	objects map[string]map[string]any // by id
	order   []string                  // ids, oldest first
}

// New makes a mock of pack. Two mocks with one seed that see the same calls give the
// same answers, apart from times.
func New(pack *provider.Pack, faults site.MockFaults, now func() time.Time) *Provider {
	return &Provider{pack: pack, faults: faults, now: now, objects: map[string]map[string]any{},
		rng: rand.New(rand.NewPCG(faults.Seed, 0x5a11f0a7))}
}

// Send answers one operation; it implements egress.Upstream. The intent of an operation
// with effects is written as for a real call, so that a rehearsal leaves the same trail.
func (p *Provider) Send(ctx context.Context, r *egress.Request) (*egress.Response, error) {
	if err := r.Intent(ctx, 1); err != nil {
		return nil, err
	}
	if err := p.wait(ctx); err != nil {
		return nil, err
	}
	status, header, body := p.Answer(r.Operation, r.Args)
	return &egress.Response{Status: status, Header: header, Body: body, Attempts: 1,
		Throttled: status == http.StatusTooManyRequests, RetryAfter: retryAfter(header)}, nil
}

func (p *Provider) wait(ctx context.Context) error {
	if p.faults.Latency <= 0 {
		return nil
	}
	select {
	case <-time.After(p.faults.Latency):
		return nil
	case <-ctx.Done():
		e := problem.Wrap(ctx.Err(), problem.UpstreamTimeout, "the provider did not answer in time")
		e.Outcome = problem.Unknown
		return e
	}
}

// Answer is the provider's answer to an operation with the given parameters.
func (p *Provider) Answer(op *contract.Operation, args contract.Args) (int, http.Header, []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	header := http.Header{"Content-Type": {"application/json"}}
	if status, body, hit := p.fault(op, header); hit {
		return status, header, body
	}
	status := op.SuccessStatus()
	schema := op.Schema(status)
	if schema == nil {
		return status, http.Header{}, nil
	}
	value := p.reply(op, args, schema)
	if p.hits(p.faults.WrongSchema) {
		value = spoil(value)
	}
	body, err := write(value, schema)
	if err != nil { // values are JSON trees: cannot happen
		return http.StatusInternalServerError, header, []byte(`{}`)
	}
	if p.hits(p.faults.BadBody) {
		body = append(body[:len(body)/2], 0xff)
	}
	return status, header, body
}

// fault throws the dice of the switches that replace the answer.
func (p *Provider) fault(op *contract.Operation, header http.Header) (int, []byte, bool) {
	switch {
	case p.hits(p.faults.RateLimited):
		header.Set("Retry-After", "1")
		return http.StatusTooManyRequests, p.errorBody(op, http.StatusTooManyRequests), true
	case p.hits(p.faults.ServerError):
		return http.StatusServiceUnavailable, p.errorBody(op, http.StatusServiceUnavailable), true
	}
	return 0, nil, false
}

func (p *Provider) hits(share float64) bool { return share > 0 && p.rng.Float64() < share }

func (p *Provider) errorBody(op *contract.Operation, status int) []byte {
	schema := op.Schema(status)
	if schema == nil {
		return []byte(`{}`)
	}
	g := &generator{rng: p.rng, now: p.now()}
	body, err := write(g.value(schema, nil, 0), schema)
	if err != nil {
		return []byte(`{}`)
	}
	return body
}

// spoil breaks a value against its contract: an object where a scalar stood.
func spoil(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return map[string]any{"unexpected": true}
	}
	for name, field := range m {
		switch field.(type) {
		case map[string]any:
			m[name] = "unexpected"
		default:
			m[name] = map[string]any{"unexpected": true}
		}
	}
	return m
}

// reply makes, finds, changes or lists objects, by the shape of the operation alone.
func (p *Provider) reply(op *contract.Operation, args contract.Args, schema *contract.Schema) any {
	asked := p.askedID(op, args)
	g := &generator{rng: p.rng, now: p.now(), args: args, op: op}
	if op.Method == http.MethodGet && asked != "" {
		if kept, ok := p.objects[asked]; ok {
			return fit(kept, schema)
		}
		// The same unknown id always gives the same object.
		g.rng = rand.New(rand.NewPCG(p.faults.Seed, hash(op.ID+"\x00"+asked)))
	}
	value := g.value(schema, nil, 0)
	object, ok := value.(map[string]any)
	if !ok {
		return value
	}
	if kept := p.objects[asked]; kept != nil && op.Method != http.MethodGet && sameKind(kept, object, schema) {
		object = merge(kept, object, op, args)
	}
	if asked != "" && op.Method != http.MethodPost || p.knows(asked) {
		setID(object, schema, asked)
	}
	for name, v := range op.MockSet {
		object[name] = v
	}
	nameItself(object, schema)
	if op.Method == http.MethodGet {
		p.fillList(object, schema)
		return object
	}
	p.keep(object, schema)
	return object
}

func (p *Provider) knows(id string) bool { return id != "" && p.objects[id] != nil }

func (p *Provider) keep(object map[string]any, schema *contract.Schema) {
	id, _ := object[idName(schema)].(string)
	if id == "" {
		return
	}
	if _, known := p.objects[id]; !known {
		p.order = append(p.order, id)
		if len(p.order) > maxObjects {
			delete(p.objects, p.order[0])
			p.order = p.order[1:]
		}
	}
	p.objects[id] = object
}

// askedID is the last object id in the operation's path.
func (p *Provider) askedID(op *contract.Operation, args contract.Args) string {
	id := ""
	for _, param := range op.Params {
		if param.In != contract.InPath || param.Account != "" {
			continue
		}
		path, err := contract.ParsePath(param.Name)
		if err != nil {
			continue
		}
		if v, ok := args.Get(path); ok {
			id = fmt.Sprint(v)
		}
	}
	return id
}

func retryAfter(h http.Header) time.Duration {
	if h.Get("Retry-After") == "" {
		return 0
	}
	return time.Second
}
