package schematest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Oracle is an independent validator of JSON Schema 2020-12 for the schemas of one document.
type Oracle struct {
	c    *jsonschema.Compiler
	uri  string
	seen map[string]*jsonschema.Schema
}

// OracleConfig says how the independent validator works.
type OracleConfig struct {
	Formats   bool                           // formats bind
	Translate func(p string) (string, error) // as in Gen
	Documents map[string]any                 // others, by URI
	// Named are formats by name that take the place of the validator's own; each is given a string or a json.Number.
	Named map[string]func(v any) bool
}

var errFormat = errors.New("not of the format")

type oraclePattern struct {
	re     *regexp.Regexp
	source string
}

func (p oraclePattern) MatchString(s string) bool { return p.re.MatchString(s) }
func (p oraclePattern) String() string            { return p.source }

// noFetch refuses documents that were not handed over.
type noFetch struct{}

func (noFetch) Load(uri string) (any, error) { return nil, fmt.Errorf("no document %s", uri) }

// NewOracle prepares the validator for a document, a tree as Parse gives it.
func NewOracle(doc any, conf OracleConfig) (*Oracle, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noFetch{})
	if conf.Formats {
		c.AssertFormat()
	}
	for name, fits := range conf.Named {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			switch v.(type) {
			case string, json.Number:
				if !fits(v) {
					return errFormat
				}
			}
			return nil
		}})
	}
	c.UseRegexpEngine(func(source string) (jsonschema.Regexp, error) {
		text := source
		if conf.Translate != nil {
			t, err := conf.Translate(source)
			if err != nil {
				return nil, err
			}
			text = t
		}
		re, err := regexp.Compile(text)
		return oraclePattern{re, source}, err
	})
	o := &Oracle{c: c, uri: "https://test.example/doc.json", seen: map[string]*jsonschema.Schema{}}
	if err := c.AddResource(o.uri, native(doc)); err != nil {
		return nil, err
	}
	for uri, d := range conf.Documents {
		if err := c.AddResource(uri, native(d)); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// native hands a tree to the validator in its own types.
func native(v any) any {
	n, err := jsonschema.UnmarshalJSON(bytes.NewReader(Text(v)))
	if err != nil {
		panic(err) // what Text writes is JSON
	}
	return n
}

// Compile prepares the schema at a JSON pointer ("" is the whole document).
func (o *Oracle) Compile(pointer string) (*jsonschema.Schema, error) {
	if s, ok := o.seen[pointer]; ok {
		return s, nil
	}
	s, err := o.c.Compile(o.uri + "#" + escapeFragment(pointer))
	if err != nil {
		return nil, err
	}
	o.seen[pointer] = s
	return s, nil
}

// Valid reports whether a tree fits the schema at a pointer.
func (o *Oracle) Valid(pointer string, v any) (bool, error) {
	s, err := o.Compile(pointer)
	if err != nil {
		return false, err
	}
	return s.Validate(native(v)) == nil, nil
}

// Why is the validator's complaint about a tree, or nil.
func (o *Oracle) Why(pointer string, v any) error {
	s, err := o.Compile(pointer)
	if err != nil {
		return err
	}
	return s.Validate(native(v))
}

func escapeFragment(pointer string) string {
	return strings.NewReplacer("%", "%25", " ", "%20", "{", "%7B", "}", "%7D", "\"", "%22", "^", "%5E", "|", "%7C").Replace(pointer)
}
