package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// walk checks a value against its row of the table, and everything below it. It names every
// fault of shape, so that what builds the File can read without looking again.
func (c *collector) walk(v *value, k *key) {
	if v.form == broken {
		return
	}
	if k.or != nil && !k.accepts(v) && k.or.accepts(v) {
		if k.or.parsed {
			c.walkText(v, k.or)
		} else if !slices.Contains(k.or.enum, v.text) {
			c.fault(v, "found "+v.shown(), "write "+k.noun())
		}
		return
	}
	switch {
	case v.form == null && k.kind != kindAny:
		c.fault(v, "nothing stands here", "write "+k.noun()+", or remove the key")
		return
	case !k.accepts(v):
		c.fault(v, "found "+v.shown()+", not "+k.shape(), shapeHint(v, k))
		return
	}
	switch k.kind {
	case kindText:
		c.walkText(v, k)
	case kindWhole:
		c.walkWhole(v, k)
	case kindShare:
		if n := v.number(); n < 0 || n > 1 {
			c.fault(v, "found "+v.shown(), "write a share of the calls from 0 to 1, such as 0.1")
		}
	case kindList:
		for _, item := range v.many() {
			c.walk(item, k.item)
		}
	case kindObject:
		c.walkObject(v, k)
	case kindTable:
		c.walkTable(v, k)
	}
}

func shapeHint(v *value, k *key) string {
	scalar := v.form == whole || v.form == decimal || v.form == boolean
	if k.kind == kindText && scalar && len(k.enum) == 0 && (k.pattern == "" || matches(k.pattern, v.text)) && k.name != "store" {
		return "put it in quotes: \"" + v.text + "\""
	}
	return "write " + k.noun()
}

func (c *collector) walkText(v *value, k *key) {
	switch {
	case v.text == "":
		c.fault(v, "found empty text", "write "+k.noun())
	case c.notYet(v, k):
	case len(k.enum) > 0 && !slices.Contains(k.enum, v.text):
		c.fault(v, "found "+v.shown(), didYouMean(v.text, k.enum, "write"))
	case k.pattern != "" && !k.parsed && !c.compiled(k.pattern).MatchString(v.text):
		c.fault(v, "found "+v.shown(), "write "+k.noun())
	}
}

// notYet names the values that belong to features that this version does not have.
func (c *collector) notYet(v *value, k *key) bool {
	for prefix, without := range k.laterValues {
		if strings.HasPrefix(v.text, prefix) {
			c.fault(v, fmt.Sprintf("%q is not available in this version", prefix), without)
			return true
		}
	}
	return false
}

func (c *collector) walkWhole(v *value, k *key) {
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil || k.most > 0 && (n < 1 || n > k.most) {
		c.fault(v, "found "+v.shown(), "write "+k.noun())
	}
}

func (c *collector) walkObject(v *value, k *key) {
	for i := range v.entries {
		e := &v.entries[i]
		at := &value{line: e.line, column: e.column, path: child(v.path, e.key)}
		switch sub := k.find(e.key); {
		case sub == nil:
			c.fault(at, fmt.Sprintf("no such key %q", e.key), didYouMean(e.key, k.known(), "the keys here are"))
		case sub.later != "":
			c.fault(at, fmt.Sprintf("%q is not available in this version", e.key), "remove it: "+sub.later)
		default:
			c.walk(e.value, sub)
		}
	}
	for _, sub := range k.keys {
		if sub.required && v.at(sub.name) == missing {
			c.fault(v, fmt.Sprintf("the key %q is missing", sub.name), "add "+sub.name+": "+sub.sample())
		}
	}
}

// known lists the keys that can be written in this version.
func (k *key) known() []string {
	var names []string
	for _, sub := range k.keys {
		if sub.later == "" {
			names = append(names, sub.name)
		}
	}
	return names
}

func (c *collector) walkTable(v *value, k *key) {
	var names *regexp.Regexp
	if k.names != "" {
		names = c.compiled(k.names)
	}
	for i := range v.entries {
		e := &v.entries[i]
		// The linker names an operation that there is not, with the nearest: one fault is enough.
		if names != nil && k.names != operationName && !names.MatchString(e.key) {
			c.fault(&value{line: e.line, column: e.column, path: child(v.path, e.key)},
				fmt.Sprintf("%q is not a name that can stand here", e.key), "write "+nameWant(k.names))
		}
		c.walk(e.value, k.item)
	}
}

func nameWant(pattern string) string {
	if pattern == fieldPattern {
		return "a field name such as secret_key"
	}
	return "1 to 40 lower-case letters, digits and inner hyphens, such as shop-1"
}
