package outbound

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"

	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

// Kind is a way to put a credential on a request.
type Kind string

// The kinds. KindNone sends no credential.
const (
	KindNone   Kind = "none"
	KindHeader Kind = "header"
	KindBasic  Kind = "basic"
	KindQuery  Kind = "query"
	KindBody   Kind = "body"
)

// Placement says where a credential goes. Value, User and Password are texts with
// {field} for the value of a field: "Bearer {secret_key}".
type Placement struct {
	Kind     Kind
	Name     string // header, query or body field
	Value    string
	User     string // basic
	Password string // basic
	Also     []Placement
}

// Field reads one value of a credential, each time it is needed, so that a rotated
// secret is used without a restart; Read should therefore be cheap.
type Field struct {
	Read func(ctx context.Context) (secret.Value, error)
	// Second reads the other value that is accepted while the field is rotated; an empty Value
	// means that there is none. It is asked only after the provider refused the first. Nil: none.
	Second func(ctx context.Context) (secret.Value, error)
	// Identifier: the value is no secret (an account SID) and may appear in answers.
	Identifier bool
}

// Template is a Credential made of fixed secrets: a header, Basic, a query or body
// field, or several of them. It is safe for concurrent use.
type Template struct {
	parts  []part
	fields map[string]Field
	names  []string // of fields that parts use, sorted
	seed   maphash.Seed

	mu     sync.RWMutex
	recent []needles // of the last values applied, the newest first
	match  *matcher  // of all of them

	fallback // what was refused, and what is sent instead
}

// keptNeedles is how many past values an echo is still looked for.
const keptNeedles = 3

// part is one placement with its texts cut into pieces.
type part struct {
	kind                  Kind
	name                  string
	value, user, password pieces
}

// NewTemplate checks the placement against the fields. All faults are named, none
// of the values are read.
func NewTemplate(p Placement, fields map[string]Field) (*Template, error) {
	t := &Template{fields: maps.Clone(fields), seed: maphash.MakeSeed()}
	if err := t.add(p); err != nil {
		return nil, fmt.Errorf("credential template: %w", err)
	}
	used := map[string]bool{}
	for _, part := range t.parts {
		for _, text := range []pieces{part.value, part.user, part.password} {
			for _, piece := range text {
				if piece.field != "" {
					used[piece.field] = true
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if f, ok := fields[name]; !ok || f.Read == nil {
			return nil, fmt.Errorf("credential template: no field %q is given; the fields are %s",
				name, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		t.names = append(t.names, name)
	}
	return t, nil
}

func (t *Template) add(p Placement) error {
	var out part
	var err error
	switch p.Kind {
	case KindNone:
	case KindHeader, KindQuery, KindBody:
		if out.value, err = cut(p.Value); err == nil && (p.Name == "" || len(out.value) == 0) {
			err = fmt.Errorf("kind %q needs a name and a value", p.Kind)
		}
		if err == nil && p.Kind == KindHeader {
			err = checkCredentialHeader(p.Name)
		}
	case KindBasic:
		out.user, err = cut(p.User)
		if err == nil {
			out.password, err = cut(p.Password)
		}
		if err == nil && len(out.user) == 0 {
			err = errors.New("kind \"basic\" needs a user")
		}
	default:
		err = fmt.Errorf("kind %q is not one of none, header, basic, query, body", p.Kind)
	}
	if err != nil {
		return err
	}
	if out.kind, out.name = p.Kind, p.Name; p.Kind != KindNone {
		t.parts = append(t.parts, out)
	}
	for _, also := range p.Also {
		if err := t.add(also); err != nil {
			return err
		}
	}
	return nil
}

// checkCredentialHeader refuses names that would let a credential change framing or routing.
func checkCredentialHeader(name string) error {
	if !isToken(name) {
		return fmt.Errorf("header %q is not a header name", name)
	}
	if wireOnly(name) {
		return fmt.Errorf("header %q belongs to the wire and cannot carry a credential", name)
	}
	return nil
}

// Apply reads the fields and puts them on r. It fails, and nothing is sent, if a
// value cannot be read, is empty, is too short to be recognised in an answer, or
// does not fit where it goes.
func (t *Template) Apply(ctx context.Context, r *Request) (Mark, error) {
	values, mark, err := t.choose(ctx)
	if err != nil {
		return 0, err
	}
	if err := t.remember(values, mark); err != nil {
		return 0, err
	}
	for _, p := range t.parts {
		if err := p.apply(r, values); err != nil {
			return 0, problem.Wrap(err, problem.CredentialUnavailable, "the credential does not fit where it has to go").
				WithHint("check the connection's credential with `sallyport check`")
		}
	}
	return mark, nil
}

// read reads the first value of each field.
func (t *Template) read(ctx context.Context) (map[string][]byte, Mark, error) {
	values := make(map[string][]byte, len(t.names))
	for _, name := range t.names {
		v, err := t.fields[name].Read(ctx)
		if err == nil && v.Empty() {
			err = fmt.Errorf("field %s is empty", name)
		}
		if err != nil {
			return nil, 0, unreadable(err, name)
		}
		values[name] = v.Expose()
	}
	return values, t.mark(values), nil
}

func (t *Template) mark(values map[string][]byte) Mark {
	var hash maphash.Hash
	hash.SetSeed(t.seed)
	for _, name := range t.names {
		maphash.WriteComparable(&hash, len(values[name]))
		_, _ = hash.Write(values[name])
	}
	return Mark(hash.Sum64())
}

// unreadable is what a caller hears of a field; who reads one may know better why.
func unreadable(err error, name string) error {
	var p *problem.Error
	if errors.As(err, &p) {
		return p
	}
	return problem.Wrap(err, problem.CredentialUnavailable, "the credential field %s cannot be read", name).
		WithHint("check that the reference in the connection's credentials names a stored secret")
}

// Fill reads the fields that a text with {field} names and puts them in. Its error is a
// problem that holds no value; an empty field is one.
func Fill(ctx context.Context, text string, fields map[string]Field) (secret.Value, error) {
	t, err := NewTemplate(Placement{Kind: KindHeader, Name: "Authorization", Value: text}, fields)
	if err != nil {
		return secret.Value{}, problem.Wrap(err, problem.CredentialUnavailable, "the credential is not complete").
			WithHint("name all fields of the connection's credentials")
	}
	values, _, err := t.read(ctx)
	if err != nil {
		return secret.Value{}, err
	}
	return secret.NewValue([]byte(t.parts[0].value.fill(values))), nil
}

// piece is literal text or the name of a field.
type piece struct{ text, field string }

type pieces []piece

// cut reads a text with {field} in it.
func cut(s string) (pieces, error) {
	var out pieces
	for s != "" {
		before, rest, found := strings.Cut(s, "{")
		if strings.Contains(before, "}") {
			return nil, errors.New("a } without a { in a credential's text")
		}
		if before != "" {
			out = append(out, piece{text: before})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" || strings.Contains(name, "{") {
			return nil, errors.New("a { without a field name and } in a credential's text")
		}
		out, s = append(out, piece{field: name}), after
	}
	return out, nil
}

func (p pieces) fill(values map[string][]byte) string {
	var b strings.Builder
	for _, piece := range p {
		b.WriteString(piece.text)
		if piece.field != "" {
			b.Write(values[piece.field])
		}
	}
	return b.String()
}
