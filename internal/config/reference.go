package config

import (
	"fmt"
	"strings"
)

// Reference is docs/reference/config.md, made from the table of keys.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	r := &reference{out: &b}
	r.section("The file", "", fileKeys())
	b.WriteString(referenceTail)
	r.later("", fileKeys())
	return b.String()
}

const referenceHead = `# sallyport.yaml

Every key of the file. This page is made from the table that reads the file
(` + "`go test ./internal/config -update`" + ` rewrites it), so it cannot be out of date.
A whole file that works stands in [sallyport.example.yaml](sallyport.example.yaml);
` + "`sallyport schema`" + ` prints a JSON Schema for editors, and
` + "`sallyport check`" + ` names every fault of a file with its line and what to write.

The file is strict. A key that is not listed here is an error, and so are anchors, aliases, merge keys, tags, keys
that stand twice, a second document, and secrets in clear text: a secret is named by
` + "`env:NAME`, `file:/path` or `keystore:site/name`" + `, and one that was pasted is never printed back.
Relative paths start at the folder of the file. A file that holds a secret or a private key may be readable by its owner only.

On SIGHUP, and when the file changes, the whole file is read again. A good file replaces everything at once; a bad one
changes nothing, and every fault is logged.

`

const referenceTail = `## Not in this version

These keys belong to features that this version does not have. They are refused by name, so that nobody relies on
what is not there.

| key | without it |
|---|---|
`

type reference struct{ out *strings.Builder }

// section writes the keys of one object, then the sections of what lies below them.
func (r *reference) section(title, path string, k *key) {
	fmt.Fprintf(r.out, "## %s\n\n| key | value | default | what it is |\n|---|---|---|---|\n", title)
	var below []*key
	for _, sub := range k.keys {
		if sub.later != "" {
			continue
		}
		fmt.Fprintf(r.out, "| `%s` | %s | %s | %s |\n", sub.name, cell(valueCell(sub)), cell(defaultCell(sub)), cell(sub.doc))
		if len(objectBelow(sub).keys) > 0 {
			below = append(below, sub)
		}
	}
	r.out.WriteString("\n")
	for _, sub := range below {
		name := child(path, sub.name)
		if sub.kind == kindTable {
			name = child(name, sub.namesAre)
		}
		r.section("`"+name+"`", name, objectBelow(sub))
	}
}

// objectBelow is the object that a key's value is, or whose many it holds.
func objectBelow(k *key) *key {
	if k.kind == kindTable {
		return k.item
	}
	return k
}

func valueCell(k *key) string {
	switch {
	case len(k.enum) > 0:
		return "`" + strings.Join(k.enum, "`, `") + "`"
	case k.kind == kindObject:
		return orElse(code(k.example), "keys below")
	case k.kind == kindTable && len(k.item.keys) > 0:
		return "`" + k.namesAre + "`: keys below"
	}
	return code(k.sample())
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func defaultCell(k *key) string {
	switch {
	case k.required:
		return "**required**"
	case k.def == "":
		return "none"
	}
	return k.def
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// later lists the keys that are refused by name.
func (r *reference) later(path string, k *key) {
	for _, sub := range k.keys {
		name := child(path, sub.name)
		if sub.later != "" {
			fmt.Fprintf(r.out, "| `%s` | %s |\n", name, cell(sub.later))
			continue
		}
		if sub.kind == kindTable {
			name = child(name, sub.namesAre)
		}
		r.later(name, objectBelow(sub))
	}
}
