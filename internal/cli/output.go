package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
)

// facts prints v as JSON with --json, else what text prints.
func (p *Program) facts(v any, text func()) error {
	return p.written(v, func() error { text(); return nil })
}

// written is facts for texts whose writing can fail.
func (p *Program) written(v any, text func() error) error {
	if !p.json {
		return text()
	}
	enc := json.NewEncoder(p.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}

func (p *Program) line(format string, args ...any) { fmt.Fprintf(p.Out, format+"\n", args...) }

// table prints rows in columns; the first row is the heading.
func (p *Program) table(rows [][]string) {
	w := tabwriter.NewWriter(p.Out, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // the terminal went away: there is nobody to tell
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func listOr(items []string, otherwise string) string {
	if len(items) == 0 {
		return otherwise
	}
	return strings.Join(items, ", ")
}
