package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hiddenText stands in a fault where a secret was.
const hiddenText = "[hidden]"

// collector gathers the faults of one file and takes secrets out of what they say.
type collector struct {
	file     string
	faults   Faults
	warnings Faults
	patterns map[string]*regexp.Regexp
	secrets  []string // texts in the file that look like secrets, longest first
}

// compiled compiles a pattern of the table of keys, each once a file.
func (c *collector) compiled(pattern string) *regexp.Regexp {
	re, ok := c.patterns[pattern]
	if !ok {
		re = regexp.MustCompile(pattern)
		if c.patterns == nil {
			c.patterns = map[string]*regexp.Regexp{}
		}
		c.patterns[pattern] = re
	}
	return re
}

// hide remembers a text that no fault may repeat.
func (c *collector) hide(s string) {
	for _, line := range append(strings.Split(s, "\n"), s, strconv.Quote(s)) {
		line = strings.Trim(line, "\" \t\r")
		if len(line) >= 6 && !slices.Contains(c.secrets, line) {
			c.secrets = append(c.secrets, line)
		}
	}
	slices.SortFunc(c.secrets, func(a, b string) int { return len(b) - len(a) })
}

// clean takes every known secret out of a text, in whatever case it is repeated.
func (c *collector) clean(s string) string {
	for _, secret := range c.secrets {
		s = regexp.MustCompile("(?i)"+regexp.QuoteMeta(secret)).ReplaceAllLiteralString(s, hiddenText)
	}
	return s
}

// finished gives the faults as they may be printed. Secrets are taken out here and not when a
// fault is added, because later parts of the file may show what is secret.
func (c *collector) finished(fs Faults) Faults {
	secretAt := map[[2]int]bool{}
	for _, f := range fs {
		if f.Found == secretFound {
			secretAt[[2]int{f.Line, f.Column}] = true
		}
	}
	out := Faults{}
	for _, f := range fs {
		if secretAt[[2]int{f.Line, f.Column}] && f.Found != secretFound {
			continue // whatever else is wrong with a secret, it must go first
		}
		f.File = c.file
		f.Path, f.Found, f.Hint = c.clean(f.Path), c.clean(f.Found), c.clean(f.Hint)
		out = append(out, f)
	}
	return out.sorted()
}

func (c *collector) add(f Fault) { c.faults = append(c.faults, f) }

// fault reports something wrong with a value.
func (c *collector) fault(v *value, found, hint string) {
	c.add(Fault{Line: v.line, Column: v.column, Path: v.path, Found: found, Hint: hint})
}

// warn reports something allowed that deserves a look.
func (c *collector) warn(v *value, found, hint string) {
	c.warnings = append(c.warnings, Fault{Line: v.line, Column: v.column, Path: v.path, Found: found, Hint: hint})
}
