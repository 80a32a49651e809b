package mock

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"sallyport/internal/contract"
)

// maxDepth bounds optional parts of generated objects.
const maxDepth = 4

// generator makes one value for a schema.
type generator struct {
	rng  *rand.Rand
	now  time.Time
	args contract.Args
	op   *contract.Operation // nil: an error's body
}

func (g *generator) value(s *contract.Schema, path []string, depth int) any {
	if v, ok := g.hinted(s); ok {
		return v
	}
	if v, ok := g.echoed(s, path); ok {
		return v
	}
	switch {
	case s.HasConst:
		return s.Const
	case s.Example != nil:
		return s.Example
	case len(s.Enum) > 0:
		return firstNonNil(s.Enum)
	case s.Default != nil:
		return s.Default
	case len(s.OneOf) > 0:
		return g.value(s.OneOf[0], path, depth)
	case len(s.AnyOf) > 0 && len(s.Properties) == 0:
		return g.value(s.AnyOf[0], path, depth)
	}
	return g.typed(s, path, depth)
}

func (g *generator) typed(s *contract.Schema, path []string, depth int) any {
	switch kind(s) {
	case "object":
		return g.object(s, path, depth)
	case "array":
		return g.array(s, path, depth)
	case "integer":
		return json.Number(fmt.Sprint(g.integer(s)))
	case "number":
		return json.Number(fmt.Sprint(g.integer(s)))
	case "boolean":
		return true
	case "null":
		return nil
	default:
		return g.text(s)
	}
}

// hinted follows x-sallyport.mock.
func (g *generator) hinted(s *contract.Schema) (any, bool) {
	h := s.Mock
	switch {
	case h.Value != nil:
		return h.Value, true
	case h.Now == "unix":
		return json.Number(fmt.Sprint(g.now.Unix())), true
	case h.Now == "rfc3339":
		return g.now.UTC().Format(time.RFC3339), true
	case h.Now == "rfc2822":
		return g.now.UTC().Format(time.RFC1123Z), true
	case h.Echo != "":
		path, err := contract.ParsePath(h.Echo)
		if err != nil {
			return nil, false
		}
		v, ok := g.args.Get(path)
		if ok && fits(v, s) {
			return v, true
		}
		return g.unsent(s, path)
	case h.Length > 0:
		return h.Prefix + g.random(h.Alphabet, h.Length), true
	}
	return nil, false
}

// unsent stands where an answer repeats a parameter that was not sent: nothing where
// nothing may stand, else what the contract takes for the parameter.
func (g *generator) unsent(s *contract.Schema, path contract.Path) (any, bool) {
	switch {
	case s.Example != nil || s.Default != nil || s.HasConst:
		return nil, false
	case s.Nullable || slices.ContainsFunc(s.AnyOf, func(b *contract.Schema) bool { return kind(b) == "null" }):
		return nil, true
	case s.Mock.Length > 0:
		return s.Mock.Prefix + g.random(s.Mock.Alphabet, s.Mock.Length), true
	case g.op == nil || len(s.Enum) > 0:
		return nil, false
	}
	sent, err := g.op.Lookup(path)
	if err != nil || sent == nil {
		return nil, false
	}
	for _, v := range append([]any{sent.Default, sent.Example}, sent.Enum...) {
		if v != nil && fits(v, s) {
			return v, true
		}
	}
	return nil, false
}

// echoed gives back the parameter of the same name and place, as providers do.
func (g *generator) echoed(s *contract.Schema, path []string) (any, bool) {
	if len(path) == 0 {
		return nil, false
	}
	p, err := contract.ParsePath(strings.Join(path, "."))
	if err != nil {
		return nil, false
	}
	v, ok := g.args.Get(p)
	return v, ok && fits(v, s)
}

func (g *generator) object(s *contract.Schema, path []string, depth int) map[string]any {
	out := map[string]any{}
	for _, part := range s.AllOf {
		if m, ok := g.value(part, path, depth).(map[string]any); ok {
			for k, v := range m {
				out[k] = v
			}
		}
	}
	for _, name := range s.Order {
		field := s.Properties[name]
		required := slices.Contains(s.Required, name)
		if !required && depth >= maxDepth {
			continue
		}
		if s.Nullable && depth > maxDepth {
			continue
		}
		if absent(field) && !required && !g.wasSent(append(slices.Clone(path), name)) {
			continue
		}
		v := g.value(field, append(slices.Clone(path), name), depth+1)
		if required || !cutOff(v, field, depth+1) {
			out[name] = v
		}
	}
	if depth > 0 { // the outermost object may still get another id
		nameItself(out, s)
	}
	return out
}

// absent says whether an optional field is left out: nothing says what it looks like.
func absent(s *contract.Schema) bool {
	plain := s.Example == nil && s.Mock == (contract.MockHint{}) && s.Default == nil && !s.HasConst
	return plain && s.Nullable
}

// cutOff says whether maxDepth left nothing of an object that has fields: no provider sends {}
// for one, and SDKs that check what they read refuse it.
func cutOff(v any, s *contract.Schema, depth int) bool {
	m, ok := v.(map[string]any)
	return ok && len(m) == 0 && depth >= maxDepth && len(s.Properties)+len(s.AllOf) > 0
}

func (g *generator) wasSent(path []string) bool {
	p, err := contract.ParsePath(strings.Join(path, "."))
	if err != nil {
		return false
	}
	_, ok := g.args.Get(p)
	return ok
}

func (g *generator) array(s *contract.Schema, path []string, depth int) []any {
	n := 1
	if depth >= maxDepth || s.Items == nil {
		n = 0
	}
	if s.MinItems != nil {
		n = max(n, *s.MinItems)
	}
	if s.MaxItems != nil {
		n = min(n, *s.MaxItems)
	}
	out := make([]any, 0, n)
	for range n {
		v := g.value(s.Items, nil, depth+1)
		if s.MinItems == nil && cutOff(v, s.Items, depth+1) {
			break
		}
		out = append(out, v)
	}
	return out
}

func (g *generator) integer(s *contract.Schema) int64 {
	low, high := int64(0), int64(100)
	if s.Minimum != nil {
		low = int64(*s.Minimum)
		high = max(high, low)
	}
	if s.Maximum != nil {
		high = int64(*s.Maximum)
		low = min(low, high)
	}
	return low + g.rng.Int64N(max(1, min(high-low+1, 1000)))
}

func (g *generator) random(alphabet string, n int) string {
	letters := "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	switch alphabet {
	case "hex":
		letters = letters[:10] + "abcdef"
	case "digits":
		letters = letters[:10]
	case "upper":
		letters = letters[:36]
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[g.rng.IntN(len(letters))]
	}
	return string(b)
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

func firstNonNil(values []any) any {
	for _, v := range values {
		if v != nil {
			return v
		}
	}
	return nil
}

// kind is the JSON type to make: the first that is not null.
func kind(s *contract.Schema) string {
	for _, t := range s.Types {
		if t != "null" {
			return t
		}
	}
	switch {
	case len(s.Types) > 0:
		return "null"
	case len(s.Properties) > 0 || s.Additional != nil || len(s.AllOf) > 0:
		return "object"
	case s.Items != nil:
		return "array"
	case s.Nullable: // the schema of null itself: it has no other type
		return "null"
	}
	return "string"
}
