package cli

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/provider"
)

// The depth and length to which fields of an operation are shown: contracts may nest without end.
const (
	shownDepth  = 4
	shownFields = 200
)

// shownOperation is what `providers show ID OPERATION` prints with --json.
type shownOperation struct {
	Provider   string       `json:"provider"`
	Operation  string       `json:"operation"`
	Summary    string       `json:"summary"`
	Method     string       `json:"method"`
	Path       string       `json:"path"`
	Effects    []string     `json:"effects"`
	Parameters []shownField `json:"parameters"`
	Returns    []shownField `json:"returns"`
}

// shownField is one parameter or one field of the answer.
type shownField struct {
	Path  string   `json:"path"` // as browser rules write it
	Type  string   `json:"type"`
	Notes []string `json:"notes"`
}

func (p *Program) showOperation(pack *provider.Pack, id string) error {
	doc := pack.Contract()
	op, ok := doc.Find(id)
	if !ok {
		var names []string
		for _, o := range doc.Operations() {
			names = append(names, o.ID)
		}
		return found(pack.ID+" has no operation "+quote(id), nearOr(id, names))
	}
	shown := shownOperation{Provider: pack.ID, Operation: op.ID, Summary: op.Summary, Method: op.Method, Path: op.PathTemplate,
		Effects: slices.Concat([]string{}, op.Effects), Parameters: []shownField{}, Returns: []shownField{}}
	request, answer := &fieldWalk{request: true, fields: shown.Parameters}, &fieldWalk{fields: shown.Returns}
	for _, param := range op.Params {
		request.walk(param.Name, param.Schema, shownDepth, parameterNotes(param))
	}
	if schema := op.Schema(op.SuccessStatus()); schema != nil {
		for _, name := range schema.Order {
			answer.walk(name, schema.Properties[name], shownDepth, nil)
		}
	}
	shown.Parameters, shown.Returns = request.fields, answer.fields
	return p.facts(shown, func() { p.printOperation(shown) })
}

func (p *Program) printOperation(o shownOperation) {
	p.line("%s %s: %s", o.Provider, o.Operation, o.Summary)
	p.line("%s %s; effects: %s", o.Method, o.Path, listOr(o.Effects, "none"))
	for _, part := range []struct {
		head   string
		fields []shownField
	}{{"PARAMETER", o.Parameters}, {"RETURNS", o.Returns}} {
		if len(part.fields) == 0 {
			continue
		}
		rows := [][]string{{part.head, "TYPE", "NOTES"}}
		for _, f := range part.fields {
			rows = append(rows, []string{f.Path, f.Type, listOr(f.Notes, "-")})
		}
		p.line("")
		p.table(rows)
	}
}

func parameterNotes(param contract.Parameter) []string {
	switch {
	case param.Account != "":
		return []string{"the gate fills it in"}
	case param.Required:
		return []string{"required"}
	}
	return nil
}

// fieldWalk collects the fields of a request or of an answer.
type fieldWalk struct {
	request bool
	fields  []shownField
}

// walk adds a field, or what lies below it.
func (w *fieldWalk) walk(path string, s *contract.Schema, depth int, notes []string) {
	if s == nil || depth == 0 || len(w.fields) >= shownFields {
		return
	}
	if w.request && s.ID && !s.PublicID {
		notes = append(notes, idNote(s))
	}
	if s.Data != contract.Plain {
		notes = append(notes, string(s.Data)+" data")
	}
	if w.request && s.URL {
		notes = append(notes, "an address: on the site's origins")
	}
	below := inner(s)
	switch {
	case below == nil:
		w.fields = append(w.fields, shownField{Path: path, Type: typeText(s), Notes: slices.Concat([]string{}, notes)})
	case below.Items != nil:
		w.walk(path+"[]", below.Items, depth, notes)
	default:
		for _, name := range below.Order {
			var required []string
			if slices.Contains(below.Required, name) && slices.Contains(notes, "required") {
				required = []string{"required"}
			}
			w.walk(path+"."+name, below.Properties[name], depth-1, required)
		}
	}
}

// idNote says who may name an object.
func idNote(s *contract.Schema) string {
	switch {
	case s.SelectsAccount:
		return "selects the account: fixed only"
	case s.Kind == "":
		return "an id: backends only"
	}
	return "the id of a " + s.Kind + ": owned"
}

// inner is the object or list in a schema, also where it is one of several forms; nil for plain values and maps.
func inner(s *contract.Schema) *contract.Schema {
	if s.Items != nil || len(s.Order) > 0 {
		return s
	}
	for _, one := range slices.Concat(s.AnyOf, s.OneOf, s.AllOf) {
		if below := inner(one); below != nil {
			return below
		}
	}
	return nil
}

func typeText(s *contract.Schema) string {
	text := strings.Join(s.Types, " or ")
	if text == "" {
		text = "any"
	}
	if s.Additional != nil {
		text = "map of names to values"
	}
	switch {
	case len(s.Enum) > 0:
		var words []string
		for _, v := range s.Enum[:min(len(s.Enum), 5)] {
			words = append(words, orElse(fmt.Sprint(v), `""`))
		}
		if len(s.Enum) > 5 {
			words = append(words, "…")
		}
		text += ": " + strings.Join(words, ", ")
	case s.Minimum != nil && s.Maximum != nil:
		text += fmt.Sprintf(" %.0f to %.0f", *s.Minimum, *s.Maximum)
	case s.MaxLen != nil:
		text += fmt.Sprintf(", up to %d characters", *s.MaxLen)
	}
	return text
}
