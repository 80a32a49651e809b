package provider

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/contract"
)

// Description is everything that `providers show` prints about one provider.
type Description struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Summary     string            `json:"summary"`
	Docs        string            `json:"docs"`
	Functions   []string          `json:"functions"`
	Surface     Surface           `json:"surface"`
	Properties  []Row             `json:"properties"` // the rows of Compare, with one cell each
	Credentials []CredentialField `json:"credentials"`
	Public      []PublicField     `json:"public,omitempty"`
	KeyShapes   []KeyShape        `json:"key_shapes,omitempty"`
	Operations  []OperationLine   `json:"operations"`
	Regions     []Fact            `json:"regions"`    // empty: not published
	Compliance  []Compliance      `json:"compliance"` // empty: not published
	Notes       []Fact            `json:"notes,omitempty"`
	// Imported is set where `sallyport providers import` made the pack.
	Imported *Imported `json:"imported,omitempty"`
}

// OperationLine maps an operation name to what the provider is asked.
type OperationLine struct {
	ID      string          `json:"id"`
	Method  string          `json:"method"`
	Path    string          `json:"path"`
	Summary string          `json:"summary"`
	Servers map[Mode]string `json:"servers"` // by mode; Path follows
	Auth    string          `json:"auth"`    // where the credential goes, in words, without a value
	Retry   string          `json:"retry"`
	Effects []string        `json:"effects,omitempty"`
	// Price is what a call costs by the catalog; empty: it knows of none.
	Price string `json:"price,omitempty"`
	// Legacy says since when and why the operation should not be used in new sites.
	Legacy string `json:"legacy,omitempty"`
	// Personal, Secret and Card are the paths of such fields: "in " those of the
	// request, "out " those of the answer.
	Personal []string `json:"personal,omitempty"`
	Secret   []string `json:"secret,omitempty"`
	Card     []string `json:"card,omitempty"`
	// Fields says where the sensitive fields are listed, where they are not listed here because the
	// provider has too many operations.
	Fields string `json:"fields,omitempty"`
	Source string `json:"source"`
}

// describedInFull is up to how many operations Describe lists the sensitive fields of each: the
// answers of a large description reach into one another.
const describedInFull = 100

// Summary is one line of `providers list`.
type Summary struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Functions  []string `json:"functions"`
	Modes      []Mode   `json:"modes"`
	Served     []Mode   `json:"served"` // by this version
	Operations int      `json:"operations"`
	Summary    string   `json:"summary"`
}

// List gives a line per pack, in their order.
func List(packs []*Pack) []Summary {
	lines := make([]Summary, 0, len(packs))
	for _, p := range packs {
		lines = append(lines, Summary{
			ID: p.ID, Name: p.Name, Functions: p.Functions, Modes: p.Modes(), Served: p.Served(),
			Operations: len(p.contract.Operations()), Summary: p.Summary,
		})
	}
	return lines
}

// Describe gives everything about one pack. It holds no credential, only where one goes.
func Describe(p *Pack) Description {
	d := Description{
		ID: p.ID, Name: p.Name, Summary: p.Summary, Docs: p.Docs, Functions: p.Functions, Surface: p.Surface,
		Credentials: p.Credentials, Public: p.Public, KeyShapes: p.KeyShapes,
		Regions: p.Regions, Compliance: p.Compliance, Notes: p.Notes, Imported: p.Imported,
	}
	for _, prop := range properties() {
		d.Properties = append(d.Properties, Row{Property: prop.name, Cells: []Cell{prop.cell(p)}})
	}
	for _, op := range p.contract.Operations() {
		d.Operations = append(d.Operations, p.operationLine(op))
	}
	return d
}

func (p *Pack) operationLine(op *contract.Operation) OperationLine {
	line := OperationLine{
		ID: op.ID, Method: op.Method, Path: op.PathTemplate, Summary: op.Summary,
		Servers: p.Servers[op.Server].URL, Auth: p.authsInWords(op), Retry: retryInWords(op.Retry),
		Effects: op.Effects, Source: op.Source,
	}
	if price, ok := p.PriceOf(op.ID); ok {
		line.Price = price.inWords()
	}
	if l := op.Legacy; l != nil {
		line.Legacy = strings.TrimSpace("since " + l.Since + ": " + l.Note)
	}
	if len(p.contract.Operations()) > describedInFull {
		line.Fields = "sallyport providers show " + p.ID + " " + op.ID
		return line
	}
	for _, param := range op.Params {
		line.mark("in ", param.Name, param.Schema, nil)
	}
	if reply := op.Schema(op.SuccessStatus()); reply != nil {
		line.mark("out ", "", reply, nil)
	}
	return line
}

// mark lists the sensitive fields below a schema. It does not go into an object that
// comes only when the caller asks to expand an id: that object's own operation lists it.
func (l *OperationLine) mark(side, path string, s *contract.Schema, above []*contract.Schema) {
	if s == nil || slices.Contains(above, s) {
		return
	}
	above = append(slices.Clone(above), s)
	if list := l.fieldsOf(s.Data); list != nil {
		if at := side + path; path != "" && !slices.Contains(*list, at) {
			*list = append(*list, at)
		}
		return
	}
	for _, name := range s.Order {
		child := name
		if path != "" {
			child = path + "." + name
		}
		l.mark(side, child, s.Properties[name], above)
	}
	if s.Items != nil {
		l.mark(side, path+"[]", s.Items, above)
	}
	if s.Additional != nil {
		l.mark(side, path+".*", s.Additional, above)
	}
	if expandable(s) {
		return
	}
	for _, group := range [][]*contract.Schema{s.AllOf, s.AnyOf, s.OneOf} {
		for _, part := range group {
			l.mark(side, path, part, above)
		}
	}
}

func (l *OperationLine) fieldsOf(data contract.Sensitivity) *[]string {
	switch data {
	case contract.Personal:
		return &l.Personal
	case contract.Secret:
		return &l.Secret
	case contract.Card:
		return &l.Card
	default:
		return nil
	}
}

// expandable: an id, or the object behind it.
func expandable(s *contract.Schema) bool {
	for _, group := range [][]*contract.Schema{s.AnyOf, s.OneOf} {
		id, object := false, false
		for _, part := range group {
			id = id || slices.Contains(part.Types, "string")
			object = object || slices.Contains(part.Types, "object")
		}
		if id && object {
			return true
		}
	}
	return false
}

// authsInWords are the operation's auth and those that a connection can choose instead.
func (p *Pack) authsInWords(op *contract.Operation) string {
	words := p.authInWords(p.Auth[op.Auth])
	for _, name := range sortedKeys(p.Auth) {
		if a := p.Auth[name]; slices.Contains(a.InsteadOf, op.Auth) {
			words += "; with auth: " + name + ", " + p.authInWords(a)
		}
	}
	return words
}

func (p *Pack) authInWords(a Auth) string {
	fields := strings.Join(a.ownFields(), ", ")
	var words string
	switch a.Kind {
	case "header":
		words = fmt.Sprintf("header %s (%s)", a.Name, fields)
	case "basic":
		words = fmt.Sprintf("Basic (%s)", fields)
	case "query":
		words = fmt.Sprintf("query parameter %s (%s)", a.Name, fields)
	case "body":
		words = fmt.Sprintf("body field %s (%s)", a.Name, fields)
	case "oauth_client_credentials":
		words = fmt.Sprintf("token from %s (%s)", a.TokenPath, fields)
	case "oauth_jwt_bearer":
		words = fmt.Sprintf("token from %s for a signed assertion (%s)", a.TokenPath, fields)
	case "jwt_rs256":
		words = fmt.Sprintf("token that the gate signs (%s)", fields)
	case "user_token":
		words = "the token of the visitor, who connects an account (connect: in the file)"
	default:
		words = "none"
	}
	for _, also := range a.Also {
		words += " and " + p.authInWords(also)
	}
	return words
}

func retryInWords(r contract.Retry) string {
	switch r {
	case contract.RetrySafe:
		return "may be repeated"
	case contract.RetryKeyed:
		return "repeated with an idempotency key only"
	default:
		return "never repeated after a byte was sent"
	}
}
