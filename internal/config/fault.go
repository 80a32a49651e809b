package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a file, or, among File.Warnings, one that
// deserves a look. It never holds the value of a secret.
type Fault struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"` // from 1; 0: the file as a whole
	Column int    `json:"column,omitempty"`
	// Path is where it stands in the document: sites.shop.origins[0].
	Path string `json:"path,omitempty"`
	// Found says what stands there and why that is wrong.
	Found string `json:"found"`
	// Hint says what to write instead.
	Hint string `json:"hint,omitempty"`
}

// String is two lines at most: where and what, then the hint, indented.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Found)
	if f.Hint != "" {
		b.WriteString("\n    hint: " + f.Hint)
	}
	return b.String()
}

// Faults are all that is wrong with a file, in the order of the file. As an error they print
// every one of them.
type Faults []Fault

// Error prints every fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// sorted puts faults in the order of the file and leaves out exact repeats.
func (fs Faults) sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(fs)
}
