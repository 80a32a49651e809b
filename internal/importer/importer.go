// Package importer turns a description of an API into a provider pack: the operations that are
// wanted, where they live, where the credential goes, which of their fields are sensitive, and
// what may be repeated.
//
// It guarantees the safe choice wherever the description says nothing: reads may be repeated and
// nothing else, identifiers are not a browser's to choose, a field with a telling name counts as
// sensitive. Everything that it decided by a name is in the Report with its reason, for a person
// to correct in the files; what the description does not publish stays "not published". A pack
// that it makes passes the same checks as one of the catalog.
//
// It reads and writes no files, and knows no provider.
package importer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/openapi"
	"sallyport/internal/provider"
)

// Options say what is wanted. The zero value of a field leaves the choice to the description.
type Options struct {
	File       string   // the document's base name, which sources in the pack name
	Data       []byte   // its bytes, for the checksum
	ID         string   // of the pack
	Name       string   // for people
	Operations []string // ids, patterns such as "GET /v1/*", or all
	Auth       string   // bearer, basic, header:NAME, query:NAME, body:NAME, client-credentials, none
	Server     string   // address in mode live, for the operations that have no server of their own
	Sandbox    string   // address in mode sandbox
	Sensitive  []string // field=personal, field=secret, field=card, field=plain
	Retry      []string // operation=safe, operation=never
	Loose      []string // pointers of patterns that are given up
	On         time.Time
	// Progress is told what is being done, and how much of it; total 0: nobody knows.
	Progress func(doing string, done, total int)
}

// Made is a pack.
type Made struct {
	ID       string
	Pack     []byte // pack.json
	Contract []byte // contract.json
	Report   Report
}

// Report is what a person should look at before the pack is used.
type Report struct {
	ID         string                     `json:"id"`
	Name       string                     `json:"name"`
	Family     string                     `json:"family"`
	Version    string                     `json:"version"`
	Servers    map[string]provider.Server `json:"servers"`
	Auth       map[string]provider.Auth   `json:"auth"`
	Operations []Line                     `json:"operations"`
	LeftOut    []openapi.Finding          `json:"left_out"` // why operations are not in the pack
	Findings   []openapi.Finding          `json:"findings"` // what else was found in the description
	Marks      []openapi.Marked           `json:"marks"`    // what was decided by names
	Notes      []string                   `json:"notes"`    // what else to look at
}

// Line is one operation of a report.
type Line struct {
	ID      string   `json:"id"`
	Named   string   `json:"named,omitempty"` // as the description names it
	Method  string   `json:"method"`
	Path    string   `json:"path"`
	Summary string   `json:"summary,omitempty"`
	Server  string   `json:"server,omitempty"`
	Auth    string   `json:"auth,omitempty"`
	Retry   string   `json:"retry,omitempty"`
	Effects []string `json:"effects,omitempty"`
	Why     string   `json:"why,omitempty"` // the effects that a name told
}

// Error is a wrong wish, or a description that cannot be taken over: what was found, and the way out.
type Error struct {
	Text, Hint string
	LeftOut    []openapi.Finding // why wanted operations cannot be had
}

func (e *Error) Error() string { return e.Text }

func wrong(hint, format string, args ...any) error {
	return &Error{Text: fmt.Sprintf(format, args...), Hint: hint}
}

// List gives the operations of a description.
func List(d *openapi.Document) []Line {
	lines := make([]Line, 0, len(d.Operations))
	for _, o := range d.Operations {
		lines = append(lines, Line{ID: o.ID, Named: o.Named, Method: o.Method, Path: o.Path, Summary: o.Summary})
	}
	return lines
}

// maker is one import.
type maker struct {
	d       *openapi.Document
	o       Options
	pack    provider.Pack
	report  Report
	servers servers
	auths   auths
	marks   marker
	retries map[string]string
	lines   map[string]Line
}

// Import makes a pack. The error is an *Error where the wish or the description is to blame.
func Import(d *openapi.Document, o Options) (*Made, error) {
	m := &maker{d: d, o: o, lines: map[string]Line{}}
	if m.o.Progress == nil {
		m.o.Progress = func(string, int, int) {}
	}
	for _, step := range []func() error{m.identity, m.wishes} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	wanted, explicit, err := choose(d.Operations, o.Operations)
	if err != nil {
		return nil, err
	}
	if err := m.places(wanted); err != nil {
		return nil, err
	}
	result, err := m.write(wanted, explicit)
	if err != nil {
		return nil, err
	}
	return m.finish(result)
}

// identity gives the pack its id and name.
func (m *maker) identity() error {
	m.pack.ID, m.pack.Name = m.o.ID, m.o.Name
	if m.pack.Name == "" {
		m.pack.Name = m.d.Title
	}
	if m.pack.Name == "" {
		m.pack.Name = m.o.File
	}
	if m.pack.ID == "" {
		m.pack.ID = idOf(m.d.Title)
	}
	if m.pack.ID == "" || openapi.Kebab(m.pack.ID) != m.pack.ID || strings.HasPrefix(m.pack.ID, "op-") {
		return wrong("write it as lower-case letters, digits and single hyphens: --id acme-orders", "the id %q cannot be that of a provider", m.pack.ID)
	}
	return nil
}

// idOf makes an id of a title, without the words that all titles have.
func idOf(title string) string {
	words := strings.Split(openapi.Kebab(title), "-")
	words = slices.DeleteFunc(words, func(w string) bool { return slices.Contains([]string{"api", "apis", "rest", "the", "public", "op"}, w) })
	id := strings.Join(words[:min(len(words), 4)], "-")
	if id == "" || id[0] >= '0' && id[0] <= '9' {
		return ""
	}
	return id
}

// wishes reads what was asked for by field and by operation.
func (m *maker) wishes() error {
	m.marks.wishes = map[string]string{}
	for _, wish := range m.o.Sensitive {
		field, kind, ok := strings.Cut(wish, "=")
		if !ok || field == "" || !slices.Contains([]string{"personal", "secret", "card", "plain"}, kind) {
			return wrong("write for instance --sensitive customer.tax_number=personal", "--sensitive %q is not FIELD=personal, secret, card or plain", wish)
		}
		m.marks.wishes[field] = kind
	}
	m.retries = map[string]string{}
	for _, wish := range m.o.Retry {
		id, rule, ok := strings.Cut(wish, "=")
		switch {
		case rule == "keyed":
			return wrong("import it with never, write idempotency into pack.json from the provider's documentation, then retry: keyed into contract.json", "--retry %q: a repeat with a key needs what the provider promises about its keys", wish)
		case !ok || rule != "safe" && rule != "never":
			return wrong("write for instance --retry search-orders=safe", "--retry %q is not OPERATION=safe or OPERATION=never", wish)
		case !slices.ContainsFunc(m.d.Operations, func(op openapi.Operation) bool { return op.ID == id }):
			return wrong(near(id, ids(m.d.Operations)), "--retry: the description has no operation %q", id)
		}
		m.retries[id] = rule
	}
	return nil
}

func ids(list []openapi.Operation) []string {
	var all []string
	for _, o := range list {
		all = append(all, o.ID)
	}
	return all
}

func near(id string, known []string) string {
	if meant, ok := provider.Nearest(id, known); ok {
		return "did you mean " + meant + "?"
	}
	return "--list shows the operations"
}

// write writes the contract. Operations that were named one by one have to be in it.
func (m *maker) write(wanted []openapi.Operation, explicit map[string]bool) (*openapi.Result, error) {
	result, err := m.d.Write(ids(wanted), openapi.Hooks{
		Prefix: m.servers.prefix, Note: m.note, Mark: m.marks.mark, Skip: m.auths.skip,
		Pattern: patternFault, Loose: m.o.Loose,
		Progress: func(done, total int) { m.o.Progress("operations", done, total) },
	})
	if result == nil {
		return nil, err
	}
	m.report.LeftOut = append(m.report.LeftOut, result.LeftOut...)
	var refused []openapi.Finding
	for _, f := range m.report.LeftOut {
		if explicit[f.Operation] {
			refused = append(refused, f)
		}
	}
	switch {
	case len(refused) > 0:
		return nil, &Error{Text: fmt.Sprintf("%s cannot be imported", refused[0].Operation), Hint: hintFor(refused[0]), LeftOut: refused}
	case err != nil:
		return nil, &Error{Text: "no operation can be imported", Hint: "correct the description, or choose others; --list shows the operations", LeftOut: m.report.LeftOut}
	}
	for _, wish := range sortedKeys(m.marks.wishes) {
		if !m.marks.used[wish] {
			return nil, wrong("the report of an import names every marked field; a field is COMPONENT.name, OPERATION.name, or a name alone", "--sensitive: no field of the chosen operations is called %q", wish)
		}
	}
	return result, nil
}

func hintFor(f openapi.Finding) string {
	if strings.HasSuffix(f.Pointer, "/pattern") {
		return "correct the description, or give the pattern up: --without-pattern " + f.Pointer
	}
	return "correct the description, or leave the operation out"
}

// finish makes the files and holds the pack against the rules of the catalog.
func (m *maker) finish(result *openapi.Result) (*Made, error) {
	m.report.ID, m.report.Name, m.report.Family, m.report.Version = m.pack.ID, m.pack.Name, string(m.d.Family), m.d.APIVersion
	m.report.Findings, m.report.Marks = result.Findings, result.Marks
	for _, o := range result.Operations {
		m.report.Operations = append(m.report.Operations, m.lines[o.ID])
	}
	m.about(result)
	m.report.Servers, m.report.Auth = m.pack.Servers, m.pack.Auth
	text, err := json.Marshal(m.pack)
	if err == nil {
		text, err = openapi.Pretty(text)
	}
	if err != nil {
		return nil, fmt.Errorf("write pack: %w", err)
	}
	made := &Made{ID: m.pack.ID, Pack: text, Contract: result.Contract, Report: m.report}
	m.o.Progress("checking", 0, 0)
	if _, err := provider.Parse(made.ID, made.Pack, made.Contract); err != nil {
		return nil, &Error{Text: "the pack would not hold: " + firstLines(err, 8), Hint: "choose other operations, or correct what is named in the description"}
	}
	return made, nil
}

func firstLines(err error, n int) string {
	lines := strings.Split(err.Error(), "\n")
	if len(lines) > n {
		lines = append(lines[:n], fmt.Sprintf("… and %d more", len(lines)-n))
	}
	return strings.Join(lines, "\n")
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// errNone is a description without operations.
var errNone = errors.New("the description has no operation")
