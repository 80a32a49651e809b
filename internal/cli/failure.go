package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"sallyport/internal/config"
	"sallyport/internal/problem"
)

// failure is an error that a person reads: what went wrong, and the way out.
type failure struct {
	text string
	hint string
	code int
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

// usage is a command used wrongly.
func usage(text, hint string) error { return &failure{text: text, hint: hint, code: exitUsage} }

// found is a problem found.
func found(text, hint string) error { return &failure{text: text, hint: hint, code: exitProblem} }

// because is a problem with the error behind it, which is told.
func because(err error, doing, hint string) error {
	return &failure{text: doing + ": " + err.Error(), hint: hint, code: exitProblem, err: err}
}

func quote(s string) string {
	if len(s) > 60 {
		return "of " + strconv.Itoa(len(s)) + " characters"
	}
	return strconv.Quote(s)
}

// exit is the one place that turns errors into exit codes and words.
func (p *Program) exit(err error) int {
	var f *failure
	var faults config.Faults
	var rule *problem.Error
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errSilent):
		return exitProblem
	case errors.As(err, &faults):
		for _, fault := range faults {
			fmt.Fprintln(p.Err, fault)
		}
		p.say(counted(len(faults), "fault")+" in "+p.config, "`sallyport check` reads the file again after each change")
		return exitProblem
	case errors.As(err, &f):
		p.say(f.text, f.hint)
		return f.code
	case errors.As(err, &rule):
		p.say(rule.Detail, rule.Hint)
		return exitProblem
	case errors.Is(err, context.Canceled):
		return exitDone
	}
	p.say(err.Error(), "")
	return exitProblem
}

func (p *Program) say(text, hint string) {
	fmt.Fprintln(p.Err, "sallyport: error: "+text)
	if hint != "" {
		fmt.Fprintln(p.Err, "sallyport: hint: "+hint)
	}
}

// counted writes "1 fault", "2 faults", "no faults".
func counted(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + "s"
	case 1:
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
