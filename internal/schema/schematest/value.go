package schematest

import (
	"encoding/json"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// maxValues bounds one value where Gen.Limit does not: where what is required goes on without end, nothing can fit.
const maxValues = 3_000

// Value makes a value that all the schemas most likely accept. depth bounds optional members:
// below it only what is required is made.
func (g *Gen) Value(depth int, schemas ...any) any {
	g.made = 0
	return g.value(depth, schemas...)
}

func (g *Gen) limit() int {
	if g.Limit > 0 {
		return g.Limit
	}
	return maxValues
}

func (g *Gen) value(depth int, schemas ...any) any {
	if g.made++; depth < -4-g.Deeper || g.made > g.limit() {
		return nil
	}
	r := newRules()
	for _, s := range schemas {
		g.collect(r, s, 0)
	}
	if r.hasSet {
		if fit := g.fitting(r); len(fit) > 0 {
			return Copy(pick(g, fit...))
		}
		if len(r.values) > 0 {
			return Copy(pick(g, r.values...))
		}
	}
	switch g.typeOf(r) {
	case "null":
		return nil
	case "boolean":
		return g.chance(2)
	case "integer":
		return g.number(r, true)
	case "number":
		return g.number(r, g.chance(2))
	case "string":
		return g.text(r)
	case "array":
		return g.array(r, depth)
	default:
		return g.object(r, depth)
	}
}

// fitting are the listed values of a type that is wanted.
func (g *Gen) fitting(r *rules) []any {
	if r.types == nil {
		return r.values
	}
	var fit []any
	for _, v := range r.values {
		if slices.Contains(r.types, TypeOf(v)) || TypeOf(v) == "integer" && slices.Contains(r.types, "number") {
			fit = append(fit, v)
		}
	}
	return fit
}

// TypeOf names a value's JSON type; integer for a number that is whole.
func TypeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case json.Number:
		if n := ratOf(v); n != nil && n.IsInt() {
			return "integer"
		}
		return "number"
	}
	return "object"
}

// typeOf picks a type: one that is named, or one that the rules are about.
func (g *Gen) typeOf(r *rules) string {
	if len(r.types) > 0 {
		return pick(g, r.types...)
	}
	var about []string
	if len(r.props)+len(r.matching)+len(r.others)+len(r.required)+r.minProps+len(r.dependent) > 0 || r.maxProps >= 0 {
		about = append(about, "object", "object")
	}
	if len(r.prefix)+len(r.items)+len(r.contains)+r.minItems > 0 || r.maxItems >= 0 || r.unique {
		about = append(about, "array", "array")
	}
	if len(r.patterns)+len(r.formats)+r.minLen > 0 || r.maxLen >= 0 {
		about = append(about, "string", "string")
	}
	if len(r.low)+len(r.high)+len(r.multiple) > 0 {
		about = append(about, "integer", "number")
	}
	if len(about) == 0 || g.chance(10) {
		about = []string{"null", "boolean", "integer", "number", "string", "array", "object"}
	}
	return pick(g, about...)
}

// number makes a number between the bounds, on the lattice of multipleOf.
func (g *Gen) number(r *rules, whole bool) any {
	step := big.NewRat(1, 1)
	if len(r.multiple) > 0 {
		step = new(big.Rat).Abs(r.multiple[0])
		for _, m := range r.multiple[1:] {
			step = new(big.Rat).Mul(step, m) // a common multiple of most, exact for whole ones
		}
		if whole && !step.IsInt() {
			step = new(big.Rat).SetInt(step.Num())
		}
	} else if !whole {
		step = big.NewRat(1, pick(g, int64(2), int64(4), int64(10)))
	}
	low, high := tightest(r.low, 1), tightest(r.high, -1)
	var k *big.Int // the value is k steps
	switch {
	case low != nil:
		k = ceilDiv(low.at, step)
		if low.excluded && new(big.Rat).Mul(new(big.Rat).SetInt(k), step).Cmp(low.at) == 0 {
			k.Add(k, big.NewInt(1))
		}
		k.Add(k, g.room(k, step, high))
	case high != nil:
		k = floorDiv(high.at, step)
		if high.excluded && new(big.Rat).Mul(new(big.Rat).SetInt(k), step).Cmp(high.at) == 0 {
			k.Sub(k, big.NewInt(1))
		}
		k.Sub(k, big.NewInt(int64(g.r.IntN(4))))
	default:
		k = big.NewInt(int64(g.r.IntN(14) - 3))
	}
	return g.write(new(big.Rat).Mul(new(big.Rat).SetInt(k), step))
}

// room is how many steps above k are taken, without passing high.
func (g *Gen) room(k *big.Int, step *big.Rat, high *bound) *big.Int {
	add := big.NewInt(int64(g.r.IntN(5)))
	for add.Sign() > 0 && high != nil {
		at := new(big.Rat).Mul(new(big.Rat).SetInt(new(big.Int).Add(k, add)), step)
		if c := at.Cmp(high.at); c < 0 || c == 0 && !high.excluded {
			break
		}
		add.Sub(add, big.NewInt(1))
	}
	return add
}

func tightest(bounds []bound, sign int) *bound {
	var best *bound
	for i := range bounds {
		if best == nil {
			best = &bounds[i]
			continue
		}
		if c := bounds[i].at.Cmp(best.at) * sign; c > 0 || c == 0 && bounds[i].excluded {
			best = &bounds[i]
		}
	}
	return best
}

func floorDiv(a, b *big.Rat) *big.Int {
	q := new(big.Rat).Quo(a, b)
	return new(big.Int).Div(q.Num(), q.Denom()) // Euclidean, and the denominator is positive: floor
}

func ceilDiv(a, b *big.Rat) *big.Int {
	neg := floorDiv(new(big.Rat).Neg(a), b)
	return neg.Neg(neg)
}

// write writes a number in one of its spellings.
func (g *Gen) write(n *big.Rat) json.Number {
	if !n.IsInt() {
		text := strings.TrimRight(n.FloatString(40), "0")
		return json.Number(text)
	}
	text := n.Num().String()
	if g.Whole || g.r.IntN(8) > 0 {
		return json.Number(text)
	}
	if rest, ok := strings.CutSuffix(text, "00"); ok && rest != "" && rest != "-" {
		return json.Number(rest + "e2")
	}
	return json.Number(text + ".0")
}

var samples = map[string][]string{
	"date": {"2026-11-23", "2024-02-29"}, "date-time": {"2026-11-23T17:00:00Z", "1998-12-31T23:59:60Z"}, "time": {"17:00:00Z", "08:30:06+02:00"},
	"email": {"joe@shop.example"}, "idn-email": {"joe@shop.example"}, "uuid": {"2eb8aa08-aa98-11ea-b4aa-73b441d16380"},
	"uri": {"https://a.example/b?c=d"}, "iri": {"https://a.example/b"}, "uri-reference": {"/a/b"}, "iri-reference": {"/a"}, "hostname": {"a.example"}, "idn-hostname": {"a.example"},
	"ipv4": {"192.0.2.1"}, "ipv6": {"2001:db8::1"}, "duration": {"P1D", "PT5M"}, "decimal": {"12.50", "0.0085"}, "byte": {"YWJj"}, "base64url": {"YWJj"},
	"json-pointer": {"/a"}, "relative-json-pointer": {"0"}, "uri-template": {"/a/{b}"}, "regex": {"^a"}, "char": {"a"}, "int64": {"12"}, "uint64": {"12"},
}

// text makes a string of the wanted format, pattern and length.
func (g *Gen) text(r *rules) string {
	candidate := pick(g, strs...)
	for range 12 {
		switch {
		case len(r.patterns) > 0:
			candidate = g.matching(pick(g, r.patterns...), r)
		case len(r.formats) > 0 && samples[r.formats[0]] != nil:
			candidate = pick(g, samples[r.formats[0]]...)
		}
		if len(r.patterns) == 0 {
			break
		}
		if n := len([]rune(candidate)); n >= r.minLen && (r.maxLen < 0 || n <= r.maxLen) && g.matchesAll(candidate, r.patterns) {
			return candidate
		}
	}
	runes := []rune(candidate)
	for len(runes) < r.minLen {
		runes = append(runes, pick(g, 'a', 'b', 'ü', '1'))
	}
	if r.maxLen >= 0 && len(runes) > r.maxLen {
		runes = runes[:r.maxLen]
	}
	return string(runes)
}

func (g *Gen) matchesAll(s string, patterns []string) bool {
	for _, p := range patterns {
		if re := g.compile(p); re != nil && !re.MatchString(s) {
			return false
		}
	}
	return true
}

func (g *Gen) compile(pattern string) *regexp.Regexp {
	if g.Translate != nil {
		t, err := g.Translate(pattern)
		if err != nil {
			return nil
		}
		pattern = t
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil
	}
	return re
}

func (g *Gen) array(r *rules, depth int) any {
	n := r.minItems
	if depth > 0 {
		n += g.r.IntN(3)
	}
	for _, p := range r.prefix {
		if g.chance(2) {
			n = max(n, len(p))
		}
	}
	if r.maxItems >= 0 {
		n = min(n, r.maxItems)
	}
	out := []any{}
	for i := 0; len(out) < n && i < 4*n+4; i++ {
		v := g.value(depth-1, g.element(r, len(out))...)
		if r.unique && contains(out, v) {
			continue
		}
		out = append(out, v)
	}
	return out
}

// element are the schemas for the element at that index.
func (g *Gen) element(r *rules, at int) []any {
	var schemas []any
	inPrefix := false
	for _, p := range r.prefix {
		if at < len(p) {
			schemas = append(schemas, p[at])
			inPrefix = true
		}
	}
	if !inPrefix {
		for _, s := range r.items {
			if s != false {
				schemas = append(schemas, s)
			}
		}
	}
	if len(r.contains) > 0 && g.r.IntN(3) > 0 {
		schemas = append(schemas, r.contains[at%len(r.contains)])
	}
	return schemas
}

func (g *Gen) object(r *rules, depth int) any {
	out := map[string]any{}
	add := func(name string) {
		if _, ok := out[name]; !ok {
			out[name] = g.value(depth-1, g.member(r, name)...)
		}
	}
	for _, name := range r.required {
		add(name)
	}
	if depth > 0 {
		for _, name := range sortedKeys(r.props) {
			if !slices.Contains(r.props[name], any(false)) && g.r.IntN(3) > 0 && (r.maxProps < 0 || len(out) < r.maxProps) {
				add(name)
			}
		}
		for _, k := range r.matching {
			if g.chance(2) && (r.maxProps < 0 || len(out) < r.maxProps) {
				add(g.matching(k.key, newRules()))
			}
		}
		if len(r.props) == 0 && len(r.matching) == 0 || g.chance(6) {
			g.strangers(r, add)
		}
	}
	for range 6 {
		if len(out) < r.minProps {
			add(g.stranger(r))
		}
	}
	for _, name := range sortedKeys(out) {
		for _, n := range r.dependent[name] {
			add(n)
		}
	}
	return out
}

// strangers adds members that no rule names, where none forbids them.
func (g *Gen) strangers(r *rules, add func(string)) {
	if slices.Contains(r.others, any(false)) {
		return
	}
	for range g.r.IntN(3) {
		add(g.stranger(r))
	}
}

func (g *Gen) stranger(r *rules) string {
	if len(r.names) > 0 {
		if s, ok := g.value(0, append([]any{map[string]any{"type": "string"}}, r.names...)...).(string); ok {
			return s
		}
	}
	for range 8 {
		if n := pick(g, names...); r.props[n] == nil {
			return n
		}
	}
	return pick(g, "other", "more", "else", "yet")
}

func (g *Gen) member(r *rules, name string) []any {
	schemas := slices.Clone(r.props[name])
	for _, k := range r.matching {
		if re := g.compile(k.key); re != nil && re.MatchString(name) {
			schemas = append(schemas, k.schema)
		}
	}
	if len(schemas) == 0 {
		for _, s := range r.others {
			if s != false {
				schemas = append(schemas, s)
			}
		}
	}
	return schemas
}
