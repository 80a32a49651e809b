// Package openapi reads API descriptions that other people wrote and turns the operations
// that are wanted into one normal form: an OpenAPI 3.1 document in JSON with schemas in the
// terms of JSON Schema 2020-12, everything referenced inside it, and nothing in it that no
// wanted operation reaches.
//
// It takes OpenAPI 3.0, 3.1 and 3.2, Swagger 2.0 and Google Discovery, in JSON or YAML.
//
// It guarantees that a document is bounded in size, depth and number of values however it is
// written (aliases of YAML included), that a reference is followed at most once and never over
// the network, and that whatever cannot be carried over, or is wrong in the document, is a
// Finding with its JSON pointer, never silently gone. Descriptions that are for readers only
// (examples, links, extensions) are left out without a word.
//
// It reads no files itself, decides nothing about who may call what, and does not know packs;
// the caller adds annotations with Hooks.
package openapi

import (
	"bytes"
	"fmt"
	"strings"

	"sallyport/internal/tape"
)

// The bounds of a document and of all the files it refers to.
const (
	MaxSize   = 32 << 20 // bytes of one file, and of a YAML file written out as JSON
	maxDepth  = 128      // levels of nesting
	maxValues = 4 << 20  // values of one file
	maxFiles  = 64       // files that a document refers to
)

// Family is the kind of a description.
type Family string

// The families.
const (
	OpenAPI30 Family = "OpenAPI 3.0"
	OpenAPI31 Family = "OpenAPI 3.1" // and 3.2
	Swagger   Family = "Swagger 2.0"
	Discovery Family = "Google Discovery"
)

// Options say how a document is read.
type Options struct {
	// Open gives a file that the document refers to, by the relative name it uses; nil: a
	// reference to another file is an error.
	Open func(name string) ([]byte, error)
}

// Document is one description, read and held against its family's rules. It is immutable; a
// Document may be used by one goroutine at a time.
type Document struct {
	Family      Family
	Version     string // as the document writes it: 3.0.3
	Title       string
	Description string
	APIVersion  string // info.version
	Docs        string // an https page of documentation that the document names, or ""
	Servers     []Server
	Schemes     []Scheme
	Operations  []Operation // in the order of the document

	main     *file
	options  Options
	files    map[string]*file
	findings *findings
	byServer map[string]int // the index of a set of addresses
}

// file is one parsed file.
type file struct {
	name string
	tape tape.Tape
	// swagger: the schemas of the file use the words of Swagger 2.0 or OpenAPI 3.0.
	legacy bool
	// anchors are the $anchor and $id of a 2020-12 document, found when first asked for.
	anchors map[string]int
	index   map[int]map[string]int // of wide objects: the members by name
	xml     *bool                  // a media type of XML stands in it; nil: nobody has looked
	// origin turns a pointer of a converted file into one of the file that was read.
	origin func(pointer string) string
}

// Read reads a document. name stands in errors and findings. The error says what is wrong with
// the document as a whole; what is wrong with parts of it is among the findings of Write.
func Read(name string, data []byte, o Options) (*Document, error) {
	f, err := parse(name, data)
	if err != nil {
		return nil, err
	}
	d := &Document{main: f, options: o, files: map[string]*file{}, findings: &findings{}}
	root := node{f, 0}
	if root.kind() != tape.Object {
		return nil, fmt.Errorf("%s: found %s where a description is an object with openapi, swagger or discoveryVersion in it", name, root.noun())
	}
	if err := d.identify(root); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d.read(node{d.main, 0})
	return d, nil
}

// identify finds the family, and brings the older ones to the form of OpenAPI 3.0.
func (d *Document) identify(root node) error {
	version := root.get("openapi").text()
	switch {
	case strings.HasPrefix(version, "3.0."):
		d.Family, d.Version = OpenAPI30, version
		d.main.legacy = true
	case strings.HasPrefix(version, "3.1.") || strings.HasPrefix(version, "3.2."):
		d.Family, d.Version = OpenAPI31, version
	case root.get("openapi").ok():
		return fmt.Errorf("found openapi %s; versions 3.0, 3.1 and 3.2 are read", root.get("openapi").shown())
	case root.get("swagger").ok():
		if v := root.get("swagger").scalar(); v != "2.0" && v != "2" {
			return fmt.Errorf("found swagger %s; version 2.0 is read", root.get("swagger").shown())
		}
		d.Family, d.Version = Swagger, "2.0"
		return d.convert(convertSwagger)
	case root.get("discoveryVersion").ok():
		d.Family, d.Version = Discovery, root.get("discoveryVersion").text()
		return d.convert(convertDiscovery)
	default:
		return fmt.Errorf("the document has none of openapi, swagger and discoveryVersion, so it is not a description of an API")
	}
	return nil
}

// convert replaces the main file by its conversion to the form of OpenAPI 3.0.
func (d *Document) convert(how func(d *Document, root node, w *writer) func(string) string) error {
	w := &writer{}
	origin := how(d, node{d.main, 0}, w)
	f := &file{name: d.main.name, legacy: true, origin: origin}
	if err := f.tape.Parse(w.out, limits()); err != nil {
		return fmt.Errorf("bring it to the form of OpenAPI 3.0: %w", err)
	}
	d.main = f
	return nil
}

func limits() tape.Limits {
	return tape.Limits{Bytes: 2 * MaxSize, Depth: maxDepth, Elements: maxValues, Nodes: maxValues}
}

// parse reads one file, JSON or YAML.
func parse(name string, data []byte) (*file, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%s: the file has %d MiB; up to %d MiB are read", name, len(data)>>20, MaxSize>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // editors of one family put a byte order mark there
	f := &file{name: name}
	text := bytes.TrimLeft(data, " \t\r\n")
	if len(text) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", name)
	}
	if text[0] != '{' && text[0] != '[' {
		var err error
		if data, err = fromYAML(data); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := f.tape.Parse(data, limits()); err != nil {
		if text[0] == '{' && !looksJSON(text) { // a flow mapping of YAML
			if written, yamlErr := fromYAML(data); yamlErr == nil && f.tape.Parse(written, limits()) == nil {
				return f, nil
			}
		}
		return nil, fmt.Errorf("%s: %s", name, where(data, err))
	}
	return f, nil
}

// looksJSON reports whether the text behind the first brace is a quoted name or a closing brace.
func looksJSON(text []byte) bool {
	rest := bytes.TrimLeft(text[1:], " \t\r\n")
	return len(rest) > 0 && (rest[0] == '"' || rest[0] == '}')
}

// where names the line of a syntax error.
func where(data []byte, err error) string {
	syntax, ok := err.(*tape.SyntaxError)
	if !ok {
		return err.Error()
	}
	at := min(max(syntax.Offset, 0), len(data))
	line := 1 + bytes.Count(data[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(data[:at], '\n')
	return fmt.Sprintf("line %d, column %d: this is not JSON: %s", line, column, syntax.What)
}
