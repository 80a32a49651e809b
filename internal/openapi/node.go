package openapi

import (
	"iter"
	"strconv"
	"strings"

	"sallyport/internal/tape"
)

// node is a value of a file. The zero node is one that is absent; asking it anything is allowed.
type node struct {
	file *file
	i    int
}

func (n node) ok() bool { return n.file != nil }

func (n node) kind() tape.Kind {
	if n.file == nil {
		return tape.Invalid
	}
	return n.file.tape.Nodes[n.i].Kind
}

func (n node) isObject() bool { return n.kind() == tape.Object }
func (n node) isArray() bool  { return n.kind() == tape.Array }
func (n node) isString() bool { return n.kind() == tape.String }

// get gives a member; the zero node where there is none, or n is no object.
func (n node) get(name string) node {
	if !n.isObject() {
		return node{}
	}
	if i, ok := n.file.tape.Find(n.i, name); ok {
		return node{n.file, i}
	}
	return node{}
}

// at follows names down.
func (n node) at(names ...string) node {
	for _, name := range names {
		n = n.get(name)
	}
	return n
}

// text is a string's text, otherwise "".
func (n node) text() string {
	if !n.isString() {
		return ""
	}
	return string(n.file.tape.Text(n.i))
}

// scalar is the text of a string, number, true, false or null.
func (n node) scalar() string {
	if n.file == nil || n.kind() >= tape.Array {
		return ""
	}
	return string(n.file.tape.Text(n.i))
}

func (n node) isTrue() bool { return n.kind() == tape.True }

func (n node) count() int {
	if !n.isObject() && !n.isArray() {
		return 0
	}
	return int(n.file.tape.Nodes[n.i].Count)
}

// members walks over an object in its order.
func (n node) members() iter.Seq2[string, node] {
	return func(yield func(string, node) bool) {
		if !n.isObject() {
			return
		}
		nodes := n.file.tape.Nodes
		for i := n.i + 1; i < int(nodes[n.i].Next); i = int(nodes[i].Next) {
			if !yield(string(n.file.tape.Key(i)), node{n.file, i}) {
				return
			}
		}
	}
}

// items walks over an array.
func (n node) items() iter.Seq[node] {
	return func(yield func(node) bool) {
		if !n.isArray() {
			return
		}
		nodes := n.file.tape.Nodes
		for i := n.i + 1; i < int(nodes[n.i].Next); i = int(nodes[i].Next) {
			if !yield(node{n.file, i}) {
				return
			}
		}
	}
}

// texts are the strings of an array.
func (n node) texts() []string {
	var list []string
	for item := range n.items() {
		if item.isString() {
			list = append(list, item.text())
		}
	}
	return list
}

// size is how many nodes of the tape a value takes, itself included.
func (n node) size() int {
	if n.file == nil {
		return 0
	}
	return int(n.file.tape.Nodes[n.i].Next) - n.i
}

func (n node) json() []byte {
	if n.file == nil {
		return nil
	}
	return n.file.tape.AppendJSON(nil, n.i)
}

// pointer is where the node stands in the file that was read.
func (n node) pointer() string {
	if n.file == nil {
		return ""
	}
	p := n.file.tape.Pointer(n.i)
	if n.file.origin != nil {
		p = n.file.origin(p)
	}
	return p
}

// noun says what kind of value it is, in a word with its article.
func (n node) noun() string {
	switch n.kind() {
	case tape.Array, tape.Object:
		return "an " + n.kind().String()
	case tape.Invalid:
		return "nothing"
	case tape.Null:
		return "null"
	}
	return "a " + n.kind().String()
}

// shown is the value for an error: short text as it is, otherwise its kind.
func (n node) shown() string {
	s := n.scalar()
	switch {
	case s == "" || len(s) > 60 || strings.ContainsAny(s, "\n\r\t\x1b"):
		return n.noun()
	case n.isString():
		return strconv.Quote(s)
	}
	return s
}
