package scheme

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// params reads the parameters of a kind and finds those that nobody reads.
type params struct {
	given map[string]string
	read  map[string]bool
	errs  []error
}

func (p *params) text(name, otherwise string) string {
	p.read[name] = true
	if v := p.given[name]; v != "" {
		return v
	}
	return otherwise
}

func (p *params) need(name string) string {
	v := p.text(name, "")
	if v == "" {
		p.errs = append(p.errs, fmt.Errorf("%s is missing", name))
	}
	return v
}

// choice is one of the listed words; the first stands for none.
func (p *params) choice(name string, of ...string) string {
	v := p.text(name, of[0])
	if !slices.Contains(of, v) {
		p.errs = append(p.errs, fmt.Errorf("%s: %q is not one of %s", name, v, strings.Join(of, ", ")))
	}
	return v
}

// fixed is a parameter that says what the kind does anyhow.
func (p *params) fixed(name, is string) {
	if v := p.text(name, is); !strings.EqualFold(v, is) {
		p.errs = append(p.errs, fmt.Errorf("%s: %q is not possible, only %q", name, v, is))
	}
}

func (p *params) list(name, otherwise string) []string {
	v := p.text(name, otherwise)
	if v == "" {
		return nil
	}
	return strings.Split(v, ",")
}

func (p *params) duration(name string, otherwise time.Duration) time.Duration {
	v := p.text(name, "")
	if v == "" {
		return otherwise
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 || d > 7*24*time.Hour {
		p.errs = append(p.errs, fmt.Errorf("%s: %q is no time such as 300s, at most 168h", name, v))
	}
	return d
}

// pointers are alternatives, separated by a space: the first that exists counts.
func (p *params) pointers(name string) []pointer {
	var out []pointer
	for _, one := range strings.Fields(p.text(name, "")) {
		ptr, err := parsePointer(one)
		if err != nil {
			p.errs = append(p.errs, fmt.Errorf("%s: %w", name, err))
		}
		out = append(out, ptr)
	}
	return out
}

func (p *params) ignore(names ...string) {
	for _, n := range names {
		p.read[n] = true
	}
}

func (p *params) end() error {
	for name := range p.given {
		if !p.read[name] {
			p.errs = append(p.errs, fmt.Errorf("the parameter %q is not known", name))
		}
	}
	return errors.Join(p.errs...)
}
