package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	yaml "github.com/goccy/go-yaml"
)

// maxDepth bounds nesting, so that no file can exhaust the stack of the YAML parser.
const maxDepth = 32

// document reads the one YAML document of a file into values. It takes the plain part of YAML only:
// what lets a reader see one thing and the program another (anchors, merges, tags, repeated
// keys, several documents) is a fault. The result is nil if there is nothing to go on with.
func (c *collector) document(data []byte) *value {
	if fault, bad := c.bytesFault(data); bad {
		c.add(fault)
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if !c.plainTokens(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		c.syntax(err)
		return nil
	}
	var docs []*ast.DocumentNode
	for _, doc := range file.Docs {
		if doc.Body != nil {
			docs = append(docs, doc)
		}
	}
	if len(docs) == 0 {
		c.add(Fault{Found: "the file is empty", Hint: "start with version: 1, listen: and sites:; `sallyport check --help` names the reference"})
		return nil
	}
	if len(docs) > 1 {
		pos := docs[1].Body.GetToken().Position
		c.add(Fault{Line: pos.Line, Column: pos.Column, Found: "a second document begins here", Hint: "remove the --- line: one file holds one document"})
	}
	return c.node(docs[0].Body, "")
}

// bytesFault looks at what must hold before any parsing.
func (c *collector) bytesFault(data []byte) (Fault, bool) {
	if len(data) > MaxSize {
		return Fault{Found: fmt.Sprintf("the file has more than %d bytes", MaxSize), Hint: "split the sites over several gates"}, true
	}
	if at := firstInvalid(data); at >= 0 {
		return Fault{
			Line: 1 + bytes.Count(data[:at], []byte("\n")), Column: at - bytes.LastIndexByte(data[:at], '\n'),
			Found: "a byte that is not UTF-8 text, or a control character", Hint: "save the file as UTF-8 without control characters",
		}, true
	}
	if at := deepLine.FindIndex(data); at != nil {
		return Fault{Line: 1 + bytes.Count(data[:at[0]], []byte("\n")), Column: 1, Found: "nesting that is deeper than any setting", Hint: "see docs/reference/config.md for the shape of the file"}, true
	}
	return Fault{}, false
}

// deepLine is a line of lists in lists, for which the lexer takes quadratic time.
var deepLine = regexp.MustCompile(`(?m)^[ ]*(?:[-?][ ]+){33}`)

// firstInvalid finds the first byte that is no UTF-8 or a control character that YAML does not allow.
func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 || r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f || r == 0xfeff && i > 0 {
			return i
		}
		i += size
	}
	return -1
}

// plainTokens refuses the parts of YAML that are not taken, before the (recursive) parser runs.
func (c *collector) plainTokens(tokens token.Tokens) bool {
	before, depth := len(c.faults), 0
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			c.token(t, "an anchor, alias or merge key", "write the values out: a site inherits nothing from its neighbours")
		case token.TagType:
			c.token(t, "a YAML tag", "remove it; write text in quotes where it could be read as a number")
		case token.DirectiveType:
			c.token(t, "a YAML directive", "remove the line")
		case token.MappingKeyType:
			c.token(t, "a key written with ?", "write key: value")
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		}
		if depth > maxDepth || t.Position.IndentNum > 8*maxDepth {
			c.token(t, "nesting that is deeper than any setting", "see docs/reference/config.md for the shape of the file")
			return false
		}
	}
	return len(c.faults) == before
}

func (c *collector) token(t *token.Token, found, hint string) {
	c.add(Fault{Line: t.Position.Line, Column: t.Position.Column, Found: found + " is not taken here", Hint: hint})
}

var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// syntax reports the parser's error by message and place only: its own rendering has an excerpt of
// the file, and the excerpt may be a secret.
func (c *collector) syntax(err error) {
	var located yaml.Error
	if !errors.As(err, &located) || located.GetToken() == nil {
		c.add(Fault{Found: "the file is not YAML", Hint: "check indentation, quotes and brackets"})
		return
	}
	pos := located.GetToken().Position
	c.add(Fault{
		Line: pos.Line, Column: pos.Column,
		Found: "this is not YAML: " + quoted.ReplaceAllString(located.GetMessage(), "…"),
		Hint:  "check indentation (two spaces a level, no tabs), quotes and brackets here and on the line above",
	})
}

// node converts one node and everything below it.
func (c *collector) node(n ast.Node, path string) *value {
	v := &value{form: null, path: path}
	if n == nil {
		return v
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		v.line, v.column = t.Position.Line, t.Position.Column
	}
	if strings.Count(path, ".")+strings.Count(path, "[") > maxDepth {
		c.fault(v, "nesting that is deeper than any setting", "see docs/reference/config.md for the shape of the file")
		return v
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		v.form = mapping
		c.mapping(v, n.Values)
	case *ast.MappingValueNode:
		v.form = mapping
		c.mapping(v, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		v.form = list
		for i, item := range n.Values {
			v.items = append(v.items, c.placed(c.node(item, element(path, i)), v))
		}
	default:
		c.scalar(v, n)
	}
	return v
}

func (c *collector) mapping(v *value, pairs []*ast.MappingValueNode) {
	first := map[string]int{}
	for _, pair := range pairs {
		t := pair.Key.GetToken()
		e := entry{key: t.Value, line: t.Position.Line, column: t.Position.Column}
		if len(v.entries) == 0 {
			v.line, v.column = e.line, e.column
		}
		if line, repeated := first[e.key]; repeated {
			c.add(Fault{
				Line: e.line, Column: e.column, Path: child(v.path, e.key),
				Found: fmt.Sprintf("the key %q stands twice; the first is on line %d", e.key, line), Hint: "keep one of them",
			})
			continue
		}
		first[e.key] = e.line
		e.value = c.placed(c.node(pair.Value, child(v.path, e.key)), &value{line: e.line, column: e.column})
		v.entries = append(v.entries, e)
	}
}

// placed gives an empty value the place of what it belongs to.
func (c *collector) placed(v, owner *value) *value {
	if v.line == 0 || v.form == null {
		v.line, v.column = owner.line, owner.column
	}
	return v
}

// integerText is how whole numbers may be written: YAML's 0x10, 0o10, 1_000 and 010 are read
// differently by different readers.
var integerText = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// decimalText is how other numbers may be written; it is JSON's grammar.
var decimalText = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func (c *collector) scalar(v *value, n ast.Node) {
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		v.form, v.text = text, n.Value
	case *ast.LiteralNode:
		v.form, v.text = text, n.Value.Value
	case *ast.BoolNode:
		v.form, v.text = boolean, strconv.FormatBool(n.Value)
	case *ast.IntegerNode:
		c.numeric(v, n.Token.Value, whole, integerText)
	case *ast.FloatNode:
		c.numeric(v, n.Token.Value, decimal, decimalText)
	default:
		c.fault(v, "found a value that is neither text, number, true nor false", "write text in quotes")
		v.form = broken
	}
}

func (c *collector) numeric(v *value, written string, f form, grammar *regexp.Regexp) {
	v.form, v.text = f, written
	if !grammar.MatchString(written) {
		c.fault(v, fmt.Sprintf("the number %s is written in a way that readers of YAML disagree about", v.shown()), "write it with plain digits, or in quotes if it is text")
		v.form = broken
	}
}
