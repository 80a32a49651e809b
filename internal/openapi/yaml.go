package openapi

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"sallyport/internal/tape"
)

// fromYAML writes the one document of a YAML text as JSON. Scalars mean what YAML 1.2's core
// schema says; aliases and merges are written out, within the bounds of a document.
func fromYAML(data []byte) ([]byte, error) {
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var root yaml.Node
	if err := dec.Decode(&root); err != nil {
		return nil, fmt.Errorf("this is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var second yaml.Node
	if dec.Decode(&second) == nil && len(second.Content) > 0 {
		return nil, fmt.Errorf("line %d: a second document begins here; a description is one document", second.Line)
	}
	w := yamlWriter{values: maxValues}
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		w.value(root.Content[0], 0)
	}
	return w.out, w.err
}

// yamlWriter writes nodes as JSON and counts, because one alias can stand for a million values.
type yamlWriter struct {
	out    []byte
	values int
	err    error
}

func (w *yamlWriter) fail(n *yaml.Node, format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...))
	}
}

func (w *yamlWriter) value(n *yaml.Node, depth int) {
	w.values--
	switch {
	case w.err != nil:
		return
	case w.values < 0:
		w.fail(n, "more than %d values; an alias stands for all that is in its anchor", maxValues)
		return
	case len(w.out) > MaxSize:
		w.fail(n, "more than %d MiB when aliases are written out", MaxSize>>20)
		return
	case depth > maxDepth:
		w.fail(n, "nested deeper than %d levels, or an alias stands in its own anchor", maxDepth)
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		w.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		w.out = append(w.out, '[')
		for i, item := range n.Content {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			w.value(item, depth+1)
		}
		w.out = append(w.out, ']')
	case yaml.MappingNode:
		w.mapping(n, depth)
	default:
		w.scalar(n)
	}
}

func (w *yamlWriter) mapping(n *yaml.Node, depth int) {
	w.out = append(w.out, '{')
	lines, first := make(map[string]int, len(n.Content)/2), true
	w.members(n, depth, lines, &first, true)
	w.out = append(w.out, '}')
}

// members writes the members of one mapping, then of those merged into it: what stands in the
// mapping itself wins.
func (w *yamlWriter) members(n *yaml.Node, depth int, lines map[string]int, first *bool, own bool) {
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content) && w.err == nil; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			w.fail(key, "a name that is not plain text")
			return
		}
		if key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		if line, twice := lines[key.Value]; twice {
			if own {
				w.fail(key, "the name %s stands twice; the first is on line %d", strconv.Quote(key.Value), line)
			}
			continue
		}
		lines[key.Value] = key.Line
		if !*first {
			w.out = append(w.out, ',')
		}
		*first = false
		w.out = append(tape.AppendString(w.out, key.Value), ':')
		w.value(value, depth+1)
	}
	for _, m := range merged {
		w.merge(m, depth+1, lines, first)
	}
}

func (w *yamlWriter) merge(n *yaml.Node, depth int, lines map[string]int, first *bool) {
	if w.values--; w.values < 0 || depth > maxDepth {
		w.fail(n, "merges go too deep or are too many")
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		w.merge(n.Alias, depth+1, lines, first)
	case yaml.SequenceNode:
		for _, item := range n.Content {
			w.merge(item, depth+1, lines, first)
		}
	case yaml.MappingNode:
		w.members(n, depth, lines, first, false)
	default:
		w.fail(n, "<< merges a mapping, or a list of mappings")
	}
}

// The numbers of YAML 1.2's core schema that JSON writes too, and the others.
var (
	jsonNumber  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
	otherNumber = regexp.MustCompile(`^([-+]?[0-9][0-9_]*|0x[0-9a-fA-F_]+|0o?[0-7_]+|[-+]?(\.[0-9]+|[0-9]+\.?[0-9]*)([eE][-+]?[0-9]+)?)$`)
)

var errNotFinite = errors.New("not a number that JSON can write")

func (w *yamlWriter) scalar(n *yaml.Node) {
	switch n.Tag {
	case "!!null":
		w.out = append(w.out, "null"...)
	case "!!bool":
		w.out = strconv.AppendBool(w.out, strings.EqualFold(n.Value, "true"))
	case "!!int", "!!float":
		text, err := plainNumber(n.Value)
		if err != nil {
			w.fail(n, "%s is %v; put it in quotes if it is text", strconv.Quote(n.Value), err)
			return
		}
		w.out = append(w.out, text...)
	case "!!str", "!!timestamp", "!!binary":
		w.out = tape.AppendString(w.out, n.Value)
	default:
		w.fail(n, "the tag %s is not taken", n.Tag)
	}
}

// plainNumber writes a number of YAML as JSON does.
func plainNumber(s string) (string, error) {
	if jsonNumber.MatchString(s) {
		return s, nil
	}
	if !otherNumber.MatchString(s) {
		return "", errNotFinite
	}
	if i, err := strconv.ParseInt(s, 0, 64); err == nil {
		return strconv.FormatInt(i, 10), nil
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil {
		return "", errNotFinite
	}
	return strconv.FormatFloat(f, 'g', -1, 64), nil
}
