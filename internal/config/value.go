package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// form is what a value is in the document.
type form string

const (
	null    form = "nothing"
	text    form = "text"
	whole   form = "a whole number"
	decimal form = "a decimal number"
	boolean form = "true or false"
	list    form = "a list"
	mapping form = "a mapping"
	broken  form = "a value that was refused" // a fault names it already
)

// value is one node of the document with its place. The reader methods are total: asked for
// what is not there they give the zero value, because walk has already named that fault.
type value struct {
	form    form
	text    string // scalars: as decoded (text) or as written (numbers, booleans)
	line    int
	column  int
	path    string
	entries []entry  // mapping, in document order
	items   []*value // list
}

// entry is one key of a mapping and its value.
type entry struct {
	key          string
	line, column int
	value        *value
}

// missing stands for a key that is not in the file.
var missing = &value{form: null}

// at finds the value below a chain of keys; missing if any of them is absent.
func (v *value) at(keys ...string) *value {
	for _, key := range keys {
		next := missing
		for i := range v.entries {
			if v.entries[i].key == key {
				next = v.entries[i].value
				break
			}
		}
		v = next
	}
	return v
}

func (v *value) present() bool { return v != missing && v.form != null }

func (v *value) str() string {
	if v.form == text {
		return v.text
	}
	return ""
}

// many gives the items of a list, or the value itself where a single one may stand for a list.
func (v *value) many() []*value {
	switch {
	case !v.present():
		return nil
	case v.form == list:
		return v.items
	}
	return []*value{v}
}

func (v *value) yes() bool { return v.form == boolean && v.text == "true" }

func (v *value) number() float64 {
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil || v.form != whole && v.form != decimal {
		return 0
	}
	return f
}

func (v *value) integer() int64 {
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil || v.form != whole {
		return 0
	}
	return n
}

// plain converts to the tree that contract.Args holds: string, json.Number, bool, nil,
// []any and map[string]any.
func (v *value) plain() any {
	switch v.form {
	case text:
		return v.text
	case whole, decimal:
		return json.Number(v.text)
	case boolean:
		return v.text == "true"
	case list:
		out := make([]any, len(v.items))
		for i, item := range v.items {
			out[i] = item.plain()
		}
		return out
	case mapping:
		out := make(map[string]any, len(v.entries))
		for _, e := range v.entries {
			out[e.key] = e.value.plain()
		}
		return out
	}
	return nil
}

// shown describes a value in a fault; the fault collector still takes secrets out of it.
func (v *value) shown() string {
	switch v.form {
	case text:
		if len(v.text) > 80 {
			return fmt.Sprintf("text of %d characters", len(v.text))
		}
		return strconv.Quote(v.text)
	case whole, decimal, boolean:
		if len(v.text) > 40 {
			return string(v.form)
		}
		return v.text
	}
	return string(v.form)
}

// child is the path of a key; a key that is not a plain name stands in brackets.
func child(path, key string) string {
	switch {
	case strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" || key == "":
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
