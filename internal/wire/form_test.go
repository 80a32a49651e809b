package wire

import (
	"errors"
	"strings"
	"testing"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// orderSchema has one of each thing that a form has to be read by.
const orderSchema = `{"type":"object","required":["amount"],"properties":{
	"amount":{"type":"integer"},"ratio":{"type":"number"},"confirm":{"type":"boolean"},"currency":{"type":"string","pattern":"^[a-z]{3}$"},
	"description":{"anyOf":[{"type":"string","maxLength":500},{"type":"string","enum":[""]}]},
	"metadata":{"anyOf":[{"type":"object","additionalProperties":{"type":"string"}},{"type":"string","enum":[""]}]},
	"types":{"type":"array","items":{"type":"string"}},"numbers":{"type":"array","items":{"type":"integer"}},
	"off_session":{"anyOf":[{"type":"boolean"},{"type":"string","enum":["one_off","recurring"]}]},
	"trial_end":{"anyOf":[{"type":"string","enum":["now"]},{"type":"integer"}]},
	"fee":{"anyOf":[{"type":"integer"},{"type":"string","enum":[""]}]},
	"tags":{"anyOf":[{"type":"array","items":{"type":"string"}},{"type":"string","enum":[""]}]},
	"bank":{"anyOf":[{"type":"object","properties":{"number":{"type":"string"}}},{"type":"string"}]},
	"any":{},
	"lines":{"type":"array","items":{"type":"object","properties":{"quantity":{"type":"integer"},"price":{"type":"object","properties":{"unit":{"type":"integer"}}}}}},
	"nested":{"type":"array","items":{"type":"array","items":{"type":"integer"}}}}}`

func schemaOf(t testing.TB, text string) schema.Shape {
	t.Helper()
	p, id := program(t, text)
	return p.Shape(id)
}

// program compiles one schema.
func program(t testing.TB, text string) (*schema.Program, schema.ID) {
	t.Helper()
	var doc tape.Tape
	if err := doc.Parse([]byte(text), tape.Limits{}); err != nil {
		t.Fatal(err)
	}
	c := schema.NewCompiler(&doc, "", schema.Config{Dialect: schema.OpenAPI31})
	id, err := c.Compile(0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return p, id
}

func readForm(r *Reader, t *tape.Tape, body string, style Style, s schema.Shape) error {
	var b tape.Builder
	b.Start(t, tape.Limits{})
	if err := r.Form(&b, []byte(body), style, s); err != nil {
		return err
	}
	return b.Done()
}

// TestReadForm: what a form means. Every row is also read again from what Writer makes of it.
func TestReadForm(t *testing.T) {
	tests := []struct {
		name, body, want string
		style            Style
	}{
		{"nothing", "", `{}`, Brackets},
		{"scalars", "amount=500&currency=eur&confirm=true&ratio=1.50E2", `{"amount":500,"currency":"eur","confirm":true,"ratio":1.50E2}`, Brackets},
		{"not written as that type", "amount=1e3&confirm=1&ratio=.5&numbers[]=007", `{"amount":"1e3","confirm":"1","ratio":".5","numbers":["007"]}`, Brackets},
		{"minus zero is no whole number", "amount=-0&ratio=-0", `{"amount":"-0","ratio":-0}`, Brackets},
		{"nested", "lines[0][quantity]=2&lines[0][price][unit]=7&lines%5B1%5D%5Bquantity%5D=3&metadata[a b]=c%26d", `{"lines":[{"quantity":2,"price":{"unit":7}},{"quantity":3}],"metadata":{"a b":"c&d"}}`, Brackets},
		{"appended", "types[]=card&types[]=ideal", `{"types":["card","ideal"]}`, Brackets},
		{"out of order", "types[1]=b&lines[1][quantity]=2&types[0]=a&lines[0][quantity]=1", `{"types":["a","b"],"lines":[{"quantity":1},{"quantity":2}]}`, Brackets},
		{"arrays in arrays", "nested[0][]=1&nested[0][]=2&nested[1][0]=3", `{"nested":[[1,2],[3]]}`, Brackets},
		{"a map with indexes as names", "metadata[0]=x&metadata[2]=y", `{"metadata":{"0":"x","2":"y"}}`, Brackets},
		{"unset", "description=&metadata=&metadata2[a]=&fee=&tags=", `{"description":"","metadata":"","metadata2":{"a":""},"fee":"","tags":""}`, Brackets},
		{"unset an entry", "metadata[a]=", `{"metadata":{"a":""}}`, Brackets},
		{"alternatives", "off_session=true&trial_end=now&fee=5&bank=btok", `{"off_session":true,"trial_end":"now","fee":5,"bank":"btok"}`, Brackets},
		{"other alternatives", "off_session=one_off&trial_end=17&bank[number]=5", `{"off_session":"one_off","trial_end":17,"bank":{"number":"5"}}`, Brackets},
		{"no alternative", "off_session=yes&trial_end=later", `{"off_session":"yes","trial_end":"later"}`, Brackets},
		{"anything", "any=5", `{"any":"5"}`, Brackets},
		{"anything in brackets", "any[0]=5&any[1]=6", `{"any":["5","6"]}`, Brackets},
		{"anything by name", "any[0]=5&any[a][]=6", `{"any":{"0":"5","a":["6"]}}`, Brackets},
		{"unknown", "amount=5&role=admin&Amount=7&__proto__[x]=1&lines[0][gift]=1&new[0]=a", `{"amount":5,"role":"admin","Amount":"7","__proto__":{"x":"1"},"lines":[{"gift":"1"}],"new":{"0":"a"}}`, Brackets},
		{"escapes", "description=a+b%2Bc%20d%3b%c3%bc&description%32=ü", `{"description":"a b+c d;ü","description2":"ü"}`, Brackets},
		{"empty pairs, no equals", "&&amount=5&&currency", `{"amount":5,"currency":""}`, Brackets},
		{"equals in a value", "description=a=b=", `{"description":"a=b="}`, Brackets},
		{"exact", "amount=9007199254740993", `{"amount":9007199254740993}`, Brackets},
		{"too large stays text", "amount=" + strings.Repeat("9", 129), `{"amount":"` + strings.Repeat("9", 129) + `"}`, Brackets},
		{"repeat", "types=a&types=b&numbers=5&amount=5", `{"types":["a","b"],"numbers":[5],"amount":5}`, Repeat},
		{"repeat, brackets are part of the name", "types[]=a", `{"types[]":"a"}`, Repeat},
		{"repeat, text or list", "tags=&types=", `{"tags":"","types":[""]}`, Repeat},
		{"repeat, a list of one", "tags=x", `{"tags":["x"]}`, Repeat},
	}
	s := schemaOf(t, orderSchema)
	var r Reader
	var w Writer
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got, again tape.Tape
			if err := readForm(&r, &got, tt.body, tt.style, s); err != nil {
				t.Fatal(err)
			}
			if text := string(got.AppendJSON(nil, 0)); text != tt.want {
				t.Fatalf("read\n%s\nwant\n%s", text, tt.want)
			}
			out, err := w.Form(nil, &got, 0, tt.style, s)
			if err != nil {
				if len(w.FormMisfits(&got, 0, tt.style, s)) == 0 {
					t.Error("a refused value has no misfits")
				}
				t.Log(err)
				return
			}
			if err := readForm(&r, &again, string(out), tt.style, s); err != nil || !same(&got, &again) {
				t.Errorf("written %s, read as %s, %v", out, again.AppendJSON(nil, 0), err)
			}
		})
	}
}

// same compares tapes; the order of members does not count.
func same(a, b *tape.Tape) bool { return sameAt(a, 0, b, 0) }

func sameAt(a *tape.Tape, i int, b *tape.Tape, j int) bool {
	x, y := &a.Nodes[i], &b.Nodes[j]
	if x.Kind != y.Kind {
		return false
	}
	if x.Kind < tape.Array {
		return string(a.Text(i)) == string(b.Text(j))
	}
	if x.Count != y.Count {
		return false
	}
	d := j + 1
	for c := i + 1; c < int(x.Next); c = int(a.Nodes[c].Next) {
		if x.Kind == tape.Object {
			var ok bool
			if d, ok = b.Find(j, string(a.Key(c))); !ok {
				return false
			}
		}
		if !sameAt(a, c, b, d) {
			return false
		}
		d = int(b.Nodes[d].Next)
	}
	return true
}

// TestReadFormRefuses: what two parsers could read differently, and what is too much.
func TestReadFormRefuses(t *testing.T) {
	many := func(n int, part string) string { return strings.Repeat(part, n) }
	tests := []struct{ name, body, want string }{
		{"semicolon", `amount=1;currency=2&amount=3`, "a semicolon stands between parameters"},
		{"bad escape", `currency=%zz`, "parameter 1 is not percent-encoded UTF-8"},
		{"half an escape", `a=1&currency=%e`, "parameter 2 is not percent-encoded UTF-8"},
		{"invalid UTF-8", `currency=%ff`, "parameter 1 is not percent-encoded UTF-8"},
		{"overlong", `currency=%c0%ae`, "parameter 1 is not percent-encoded UTF-8"},
		{"surrogate", `currency=%ed%a0%80`, "parameter 1 is not percent-encoded UTF-8"},
		{"UTF-8 cut by =", "a%c3=%bc", "parameter 1 is not percent-encoded UTF-8"},
		{"raw invalid UTF-8", "currency=\xff", "parameter 1 is not percent-encoded UTF-8"},
		{"NUL", `currency=a%00b`, "parameter 1 holds a NUL character"},
		{"NUL in a name", `curr%00ency=a`, "parameter 1 holds a NUL character"},
		{"raw NUL", "currency=\x00", "parameter 1 holds a control character that is not percent-encoded"},
		{"raw line feed", "a=b&currency=x\n", "parameter 2 holds a control character that is not percent-encoded"},
		{"no name", `=x`, "parameter 1 has no name"},
		{"twice", `currency=a&currency=b`, "currency stands 2 times"},
		{"twice, escaped", `currency=a&curren%63y=b`, "currency stands 2 times"},
		{"twice inside", `lines[0][quantity]=1&lines[0][quantity]=2`, "lines[0].quantity stands 2 times"},
		{"twice in a map", `metadata[a b]=1&metadata[a+b]=2`, `metadata.{"a b"} stands 2 times`},
		{"twice, unknown", `role=a&role=b`, "role stands 2 times"},
		{"value and structure", `lines=1&lines[0][quantity]=1`, `the form names "lines" both as a value and as a structure`},
		{"structure and value", `lines[0][quantity]=1&lines=1`, `the form names "lines" both as a value and as a structure`},
		{"value and structure inside", `lines[0][price]=1&lines[0][price][unit]=1`, `the form names "lines" both as a value and as a structure`},
		{"unset and set", `metadata=&metadata[a]=b`, `the form names "metadata" both as a value and as a structure`},
		{"open bracket", `lines[0=a`, "the form has a name with unbalanced brackets"},
		{"closing bracket", `lines]=a`, "the form has a name with unbalanced brackets"},
		{"brackets twice", `lines[[0]]=a`, "the form has a name with unbalanced brackets"},
		{"text after brackets", `lines[0]x=a`, "the form has a name with unbalanced brackets"},
		{"only brackets", `[a]=b`, "the form has a name with unbalanced brackets"},
		{"gap", `lines[1][quantity]=1`, "lines has 1 elements but none at [0]"},
		{"leading zero", `types[00]=1`, "types has 1 elements but none at [0]"},
		{"name in an array", `types[a]=1`, "types has 1 elements but none at [0]"},
		{"huge index", `types[1000000000]=1`, "types has 1 elements but none at [0]"},
		{"index beyond 64 bits", `types[` + many(30, "9") + `]=1`, "types has 1 elements but none at [0]"},
		{"negative index", `types[-1]=1`, "types has 1 elements but none at [0]"},
		{"mixed indexes", `types[]=a&types[0]=b`, "types mixes [] with other indexes"},
		{"mixed indexes, unknown", `new[]=a&new[b]=b`, "new mixes [] with other indexes"},
		{"members of appended", `lines[][quantity]=1&lines[][price][unit]=2`, "lines[] has members, so it is not clear which belong together"},
		{"deep", `a` + many(63, "[a]") + `=1`, "the form has a name with unbalanced brackets"},
		{"deep and long", `a` + many(300_000, "[0]") + `=1`, "the form has a name with unbalanced brackets"},
		{"many", many(10_001, "types[]=a&"), "more than 10000 parameters"},
		{"many places", manyPlaces(), "more than 100000 names and indexes"},
	}
	s := schemaOf(t, orderSchema)
	var r Reader
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got tape.Tape
			err := readForm(&r, &got, tt.body, Brackets, s)
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != problem.BadBody || p.Detail != tt.want {
				t.Errorf("%v; want %s", err, tt.want)
			}
		})
	}
}

// manyPlaces is a form of few parameters with long names that have nothing in common.
func manyPlaces() string {
	var b strings.Builder
	for i := range 3_000 {
		for j := range 60 {
			if j == 0 {
				b.WriteString("a" + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)))
				continue
			}
			b.WriteString("[0]")
		}
		b.WriteString("=1&")
	}
	return b.String()
}
