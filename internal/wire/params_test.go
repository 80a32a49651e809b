package wire

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/problem"
	"sallyport/internal/tape"
)

const (
	listOfText    = `{"type":"array","items":{"type":"string"}}`
	listOfNumbers = `{"type":"array","items":{"type":"integer"}}`
	colour        = `{"type":"object","properties":{"R":{"type":"integer"},"G":{"type":"integer"},"name":{"type":"string"}}}`
	textOrList    = `{"anyOf":[{"type":"string","enum":["all"]},{"type":"array","items":{"type":"string"}}]}`
)

// TestParameters: the styles of OpenAPI (3.1.1 §4.8.12.3) in their four places; what is read is
// written again as it was.
func TestParameters(t *testing.T) {
	tests := []struct {
		name          string
		in            In
		style         Style
		schema        string
		text, want    string
		written, fail string // where it is written otherwise, or not at all
	}{
		{"a number", InQuery, Repeat, `{"type":"integer"}`, "c=5", `{"color":5}`, "", ""},
		{"empty text", InQuery, Repeat, `{"type":"string"}`, "c=", `{"color":""}`, "", ""},
		{"form exploded", InQuery, Repeat, listOfText, "c=blue&c=black", `{"color":["blue","black"]}`, "", ""},
		{"form exploded, one", InQuery, Repeat, listOfNumbers, "c=5", `{"color":[5]}`, "", ""},
		{"form exploded, an object", InQuery, Repeat, colour, "R=100&G=200", `{"color":{"R":100,"G":200}}`, "", ""},
		{"form exploded, a map", InQuery, Repeat, `{"type":"object","additionalProperties":{"type":"integer"}}`, "x=1&y=z", `{"color":{"x":1,"y":"z"}}`, "", ""},
		{"form exploded, text or list", InQuery, Repeat, textOrList, "c=all", `{"color":"all"}`, "", ""},
		{"form exploded, list or text", InQuery, Repeat, textOrList, "c=a%26b", `{"color":["a&b"]}`, "", ""},
		{"form", InQuery, Commas, listOfText, "c=blue,black,b%20c", `{"color":["blue","black","b c"]}`, "", ""},
		{"form, escaped commas", InQuery, Commas, listOfText, "c=blue%2Cblack", `{"color":["blue","black"]}`, "c=blue,black", ""},
		{"form, an object", InQuery, Commas, colour, "c=R,100,G,200,name,x%26", `{"color":{"R":100,"G":200,"name":"x\u0026"}}`, "", ""},
		{"form, text or list", InQuery, Commas, textOrList, "c=a,b", `{"color":["a","b"]}`, "", ""},
		{"space", InQuery, Spaces, listOfText, "c=blue%20black", `{"color":["blue","black"]}`, "", ""},
		{"space as plus", InQuery, Spaces, listOfText, "c=blue+black", `{"color":["blue","black"]}`, "c=blue%20black", ""},
		{"pipe", InQuery, Pipes, listOfNumbers, "c=1%7C2", `{"color":[1,2]}`, "", ""},
		{"pipe, raw", InQuery, Pipes, listOfNumbers, "c=1|2", `{"color":[1,2]}`, "c=1%7C2", ""},
		{"pipe, an object", InQuery, Pipes, colour, "c=R%7C100%7CG%7C200", `{"color":{"R":100,"G":200}}`, "", ""},
		{"deepObject", InQuery, Brackets, colour, "c%5BR%5D=100&c%5BG%5D=200", `{"color":{"R":100,"G":200}}`, "", ""},
		{"deepObject, a list", InQuery, Brackets, listOfText, "c[]=a&c[]=b", `{"color":["a","b"]}`, "c%5B0%5D=a&c%5B1%5D=b", ""},
		{"JSON", InQuery, JSON, colour, "c=%7B%22R%22%3A1%2C%22new%22%3A%5Bnull%5D%7D", `{"color":{"R":1,"new":[null]}}`, "", ""},
		{"simple", InPath, Simple, listOfText, "blue,black", `{"color":["blue","black"]}`, "", ""},
		{"simple, an object", InPath, Simple, colour, "R,100,G,200", `{"color":{"R":100,"G":200}}`, "", ""},
		{"simple exploded", InPath, SimpleExploded, listOfNumbers, "1,2", `{"color":[1,2]}`, "", ""},
		{"simple exploded, an object", InPath, SimpleExploded, colour, "R=100,G=200", `{"color":{"R":100,"G":200}}`, "", ""},
		{"label", InPath, Label, listOfText, ".blue,black", `{"color":["blue","black"]}`, "", ""},
		{"label, a number", InPath, Label, `{"type":"number"}`, ".3.14", `{"color":3.14}`, "", ""},
		{"label, an object", InPath, Label, colour, ".R,100,G,200", `{"color":{"R":100,"G":200}}`, "", ""},
		{"label exploded", InPath, LabelExploded, listOfText, ".blue.black", `{"color":["blue","black"]}`, "", ""},
		{"label exploded, an object", InPath, LabelExploded, colour, ".R=100.G=200", `{"color":{"R":100,"G":200}}`, "", ""},
		{"matrix", InPath, Matrix, listOfText, ";c=blue,black", `{"color":["blue","black"]}`, "", ""},
		{"matrix, text", InPath, Matrix, `{"type":"string"}`, ";c=blue", `{"color":"blue"}`, "", ""},
		{"matrix, an object", InPath, Matrix, colour, ";c=R,100,G,200", `{"color":{"R":100,"G":200}}`, "", ""},
		{"matrix exploded", InPath, MatrixExploded, listOfText, ";c=blue;c=black", `{"color":["blue","black"]}`, "", ""},
		{"matrix exploded, text", InPath, MatrixExploded, `{"type":"string"}`, ";c=a=b", `{"color":"a=b"}`, ";c=a%3Db", ""},
		{"matrix exploded, an object", InPath, MatrixExploded, colour, ";R=100;G=200", `{"color":{"R":100,"G":200}}`, "", ""},
		{"header", InHeader, Simple, listOfText, "blue,black", `{"color":["blue","black"]}`, "", ""},
		{"header, text with commas", InHeader, Simple, `{"type":"string"}`, "Mon, 1 Jan", `{"color":"Mon, 1 Jan"}`, "", ""},
		{"header, an object", InHeader, SimpleExploded, colour, "R=100,G=200", `{"color":{"R":100,"G":200}}`, "", ""},
		{"header, JSON", InHeader, JSON, colour, `{"R":1}`, `{"color":{"R":1}}`, "", ""},
		{"header, JSON beyond ASCII", InHeader, JSON, colour, `{"name":"ü"}`, `{"color":{"name":"ü"}}`, "", "characters that a header cannot carry"},
		{"cookie", InCookie, Repeat, `{"type":"integer"}`, "c=5", `{"color":5}`, "", ""},
		{"cookie, escaped", InCookie, Repeat, `{"type":"string"}`, "c=a%3Bb+c&d", `{"color":"a;b+c\u0026d"}`, "c=a%3Bb%2Bc%26d", ""},
		{"cookies", InCookie, Repeat, listOfText, "c=a; c=b", `{"color":["a","b"]}`, "", ""},
		{"cookie with a list", InCookie, Commas, listOfText, "c=a%2Cb", `{"color":["a","b"]}`, "", ""},
		{"unknown members", InPath, SimpleExploded, colour, "R=1,alpha=2", `{"color":{"R":1,"alpha":"2"}}`, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Param{Name: "color", Wire: "c", Style: tt.style, Shape: schemaOf(t, tt.schema)}
			var got, again tape.Tape
			if unknown, err := readParam(&got, tt.in, &p, tt.text); err != nil || len(unknown) > 0 {
				t.Fatal(err, unknown)
			}
			want := strings.NewReplacer(`\u0026`, "&").Replace(tt.want)
			if text := string(got.AppendJSON(nil, 0)); text != want {
				t.Fatalf("read %s; want %s", text, want)
			}
			out, err := writeParam(&got, tt.in, &p)
			if tt.fail != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fail) || len(misfits(&got, tt.in, &p)) == 0 {
					t.Errorf("written %s, %v", out, err)
				}
				return
			}
			if tt.written == "" {
				tt.written = tt.text
			}
			if err != nil || out != tt.written || len(misfits(&got, tt.in, &p)) > 0 {
				t.Fatalf("written %s; want %s; %v", out, tt.written, err)
			}
			if _, err := readParam(&again, tt.in, &p, percentDecoded(tt.in, out)); err != nil || !same(&got, &again) {
				t.Errorf("read again %s, %v", again.AppendJSON(nil, 0), err)
			}
		})
	}
}

// percentDecoded: a path comes decoded to the Reader.
func percentDecoded(in In, text string) string {
	if in != InPath {
		return text
	}
	return strings.NewReplacer("%3D", "=").Replace(text)
}

func readParam(t *tape.Tape, in In, p *Param, text string) (unknown []string, err error) {
	var r Reader
	var b tape.Builder
	b.Start(t, tape.Limits{})
	b.BeginObject()
	switch in {
	case InPath:
		err = r.Path(&b, p, []byte(text))
	case InHeader:
		err = r.Header(&b, p, text)
	default:
		ps, fault := NewParams([]Param{*p})
		if fault != nil {
			return nil, fault
		}
		if in == InQuery {
			unknown, err = r.Query(&b, text, ps)
		} else {
			unknown, err = r.Cookies(&b, text, ps)
		}
	}
	if err != nil {
		return nil, err
	}
	b.End()
	return unknown, b.Done()
}

func writeParam(t *tape.Tape, in In, p *Param) (string, error) {
	var w Writer
	write := map[In]func([]byte, *tape.Tape, int, *Param) ([]byte, error){InPath: w.Path, InQuery: w.Query, InHeader: w.Header, InCookie: w.Cookie}[in]
	node, _ := t.Find(0, p.Name)
	out, err := write(nil, t, node, p)
	return string(out), err
}

func misfits(t *tape.Tape, in In, p *Param) []Misfit {
	var w Writer
	list := map[In]func(*tape.Tape, int, *Param) []Misfit{InPath: w.PathMisfits, InQuery: w.QueryMisfits, InHeader: w.HeaderMisfits, InCookie: w.CookieMisfits}[in]
	node, _ := t.Find(0, p.Name)
	return list(t, node, p)
}

// TestParametersRefuse: text that is not in the style, and values that would be read as
// something else.
func TestParametersRefuse(t *testing.T) {
	reading := []struct {
		name         string
		in           In
		style        Style
		schema, text string
		code         problem.Code
	}{
		{"twice", InQuery, Repeat, `{"type":"integer"}`, "c=1&c=2", problem.BadQuery},
		{"twice, without explode", InQuery, Commas, listOfText, "c=1&c=2", problem.BadQuery},
		{"odd", InQuery, Commas, colour, "c=R,1,G", problem.BadQuery},
		{"a name twice", InQuery, Commas, colour, "c=R,1,R,2", problem.BadQuery},
		{"value and members", InQuery, Brackets, colour, "c=1&c[R]=2", problem.BadQuery},
		{"not JSON", InQuery, JSON, colour, "c={", problem.BadQuery},
		{"JSON twice", InQuery, JSON, colour, "c={}&c={}", problem.BadQuery},
		{"a name twice in JSON", InQuery, JSON, colour, `c={"R":1,"R":2}`, problem.BadQuery},
		{"label without a dot", InPath, Label, listOfText, "a,b", problem.BadTarget},
		{"matrix without a semicolon", InPath, Matrix, listOfText, "c=a", problem.BadTarget},
		{"matrix of another name", InPath, Matrix, listOfText, ";d=a", problem.BadTarget},
		{"matrix twice", InPath, Matrix, `{"type":"string"}`, ";c=a;c=b", problem.BadTarget},
		{"matrix exploded, another name", InPath, MatrixExploded, listOfText, ";c=a;d=b", problem.BadTarget},
		{"no member", InPath, SimpleExploded, colour, "R=1,G", problem.BadTarget},
		{"not UTF-8", InHeader, Simple, listOfText, "a,\xff", problem.BadHeader},
		{"cookie with a space", InCookie, Repeat, listOfText, "c=a b", problem.BadHeader},
		{"cookie without =", InCookie, Repeat, listOfText, "c", problem.BadHeader},
	}
	for _, tt := range reading {
		t.Run("read "+tt.name, func(t *testing.T) {
			p := Param{Name: "color", Wire: "c", Style: tt.style, Shape: schemaOf(t, tt.schema)}
			var got tape.Tape
			_, err := readParam(&got, tt.in, &p, tt.text)
			var fault *problem.Error
			if !errors.As(err, &fault) || fault.Code != tt.code {
				t.Errorf("%v; want %s", err, tt.code)
			}
		})
	}
	writing := []struct {
		name          string
		in            In
		style         Style
		schema, value string
	}{
		{"null", InQuery, Repeat, `{"type":["string","null"]}`, `null`},
		{"empty list", InQuery, Repeat, listOfText, `[]`},
		{"empty object", InQuery, Repeat, colour, `{}`},
		{"a list in a list", InQuery, Repeat, `{"type":"array","items":{}}`, `[[1],2]`},
		{"a list of one that is text", InQuery, Repeat, textOrList, `["all"]`},
		{"text that is a list", InQuery, Repeat, textOrList, `"none"`},
		{"an object as a list", InQuery, Brackets, `{}`, `{"0":"a"}`},
		{"brackets in a name", InQuery, Brackets, `{"type":"object","additionalProperties":{}}`, `{"a]":"b"}`},
		{"comma", InQuery, Commas, listOfText, `["a,b"]`},
		{"space", InQuery, Spaces, listOfText, `["a b"]`},
		{"bar", InQuery, Pipes, listOfText, `["a|b"]`},
		{"joined to text", InQuery, Commas, `{"anyOf":[{"type":"string","enum":["a,b"]},{"type":"array","items":{"type":"string"}}]}`, `["a","b"]`},
		{"NUL", InQuery, Repeat, `{"type":"string"}`, `"a\u0000"`},
		{"NUL in a list", InQuery, Commas, listOfText, `["a\u0000"]`},
		{"empty path", InPath, Simple, `{"type":"string"}`, `""`},
		{"dot", InPath, Simple, `{"type":"string"}`, `"."`},
		{"dots", InPath, Simple, `{"type":"string"}`, `".."`},
		{"dots by label", InPath, Label, `{"type":"string"}`, `"."`},
		{"nothing by label", InPath, Label, `{"type":"string"}`, `""`},
		{"slash", InPath, Simple, `{"type":"string"}`, `"a/../b"`},
		{"backslash", InPath, Simple, listOfText, `["a","\\b"]`},
		{"control", InPath, Simple, `{"type":"string"}`, `"a\u0000"`},
		{"semicolon", InPath, Matrix, `{"type":"string"}`, `"a;c=b"`},
		{"semicolon in a list", InPath, MatrixExploded, listOfText, `["a;c=b"]`},
		{"dot in a list", InPath, LabelExploded, listOfText, `["a.b"]`},
		{"line feed", InHeader, Simple, `{"type":"string"}`, `"a\nb: c"`},
		{"space at the end", InHeader, Simple, `{"type":"string"}`, `"a "`},
		{"not ASCII", InHeader, Simple, `{"type":"string"}`, `"ü"`},
		{"equals in a name", InHeader, SimpleExploded, `{"type":"object","additionalProperties":{"type":"string"}}`, `{"a=b":"c"}`},
	}
	for _, tt := range writing {
		t.Run("write "+tt.name, func(t *testing.T) {
			p := Param{Name: "color", Wire: "c", Style: tt.style, Shape: schemaOf(t, tt.schema)}
			var value tape.Tape
			if err := value.Parse([]byte(`{"color":`+tt.value+`}`), tape.Limits{}); err != nil {
				t.Fatal(err)
			}
			out, err := writeParam(&value, tt.in, &p)
			var fault *problem.Error
			if !errors.As(err, &fault) || fault.Code != problem.ContractViolation || out != "" || len(misfits(&value, tt.in, &p)) == 0 {
				t.Errorf("%q, %v, %v", out, err, misfits(&value, tt.in, &p))
			}
		})
	}
}

func TestQueryOfManyParameters(t *testing.T) {
	param := func(name string, style Style, schema string) Param {
		return Param{Name: name, Wire: name, Style: style, Shape: schemaOf(t, schema)}
	}
	ps, err := NewParams([]Param{param("limit", Repeat, `{"type":"integer"}`), param("created", Brackets, `{"type":"object","properties":{"gte":{"type":"integer"}}}`),
		param("ids[]", Repeat, listOfText), param("color", Repeat, colour)})
	if err != nil {
		t.Fatal(err)
	}
	var r Reader
	var b tape.Builder
	var got tape.Tape
	b.Start(&got, tape.Limits{})
	b.BeginObject()
	unknown, err := r.Query(&b, "x=1&created[gte]=5&ids[]=a&R=1&ids%5B%5D=b&limt=2&x[y]=3&created[gt]=9&limit=7&limit[a]=1&[]=2&created[=3", ps)
	b.End()
	if err != nil || b.Done() != nil {
		t.Fatal(err)
	}
	if text := string(got.AppendJSON(nil, 0)); text != `{"limit":7,"created":{"gte":5,"gt":"9"},"ids[]":["a","b"],"color":{"R":1}}` {
		t.Error(text)
	}
	if want := []string{"x", "limt", "limit", "[]", "created["}; !slices.Equal(unknown, want) {
		t.Errorf("unknown %q", unknown)
	}
	for name, list := range map[string][]Param{
		"two of one name":     {param("a", Repeat, colour), param("a", Repeat, listOfText), param("a", Commas, listOfText)},
		"brackets in a name":  {param("a[]", Brackets, colour)},
		"a member and a name": {param("R", Repeat, listOfText), param("a", Repeat, colour)},
		"two that take any":   {param("a", Repeat, `{"type":"object","additionalProperties":{}}`), param("b", Repeat, `{"type":"object","additionalProperties":{}}`)},
	} {
		if _, err := NewParams(list); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestOtherCookies: what a browser sends along for others is no fault, however it is written.
func TestOtherCookies(t *testing.T) {
	ps, err := NewParams([]Param{{Name: "color", Wire: "c d", Style: Repeat, Shape: schemaOf(t, `{"type":"integer"}`)}})
	if err != nil {
		t.Fatal(err)
	}
	var r Reader
	var b tape.Builder
	var got tape.Tape
	b.Start(&got, tape.Limits{})
	b.BeginObject()
	unknown, err := r.Cookies(&b, `_ga=GA1.1; x="a, b\c"; =y; z; c%20d=5; %zz=%zz; e=%00; =`, ps)
	b.End()
	if err != nil || b.Done() != nil || string(got.AppendJSON(nil, 0)) != `{"color":5}` {
		t.Errorf("%s, %v", got.AppendJSON(nil, 0), err)
	}
	if want := []string{"_ga", "x", "", "z", "%zz", "e"}; !slices.Equal(unknown, want) {
		t.Errorf("unknown %q", unknown)
	}
}

func TestStyleOf(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		in      In
		style   string
		explode *bool
		want    Style
	}{
		{InQuery, "", nil, Repeat}, {InQuery, "form", &no, Commas}, {InQuery, "form", &yes, Repeat}, {InQuery, "spaceDelimited", nil, Spaces},
		{InQuery, "pipeDelimited", &no, Pipes}, {InQuery, "pipeDelimited", &yes, Repeat}, {InQuery, "deepObject", nil, Brackets}, {InQuery, "deepObject", &no, Brackets},
		{InPath, "", nil, Simple}, {InPath, "simple", &yes, SimpleExploded}, {InPath, "label", nil, Label}, {InPath, "label", &yes, LabelExploded},
		{InPath, "matrix", nil, Matrix}, {InPath, "matrix", &yes, MatrixExploded}, {InHeader, "", nil, Simple}, {InHeader, "simple", &yes, SimpleExploded},
		{InCookie, "", nil, Repeat}, {InCookie, "form", &no, Commas}, {InCookie, "cookie", nil, Repeat},
	}
	for _, tt := range tests {
		if got, err := StyleOf(tt.in, tt.style, tt.explode); err != nil || got != tt.want {
			t.Errorf("%s %s: %d, %v; want %d", tt.in, tt.style, got, err, tt.want)
		}
	}
	for _, bad := range []struct {
		in    In
		style string
	}{{InQuery, "simple"}, {InPath, "form"}, {InPath, "deepObject"}, {InHeader, "label"}, {InCookie, "simple"}, {InQuery, "Form"}, {InHeader, "cookie"}} {
		if _, err := StyleOf(bad.in, bad.style, nil); err == nil || !strings.Contains(err.Error(), bad.in.String()) {
			t.Errorf("%s %s: %v", bad.in, bad.style, err)
		}
	}
}
