package cli

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// IsTerminal reports whether somebody reads what is written to f, or types what is read from it.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// TerminalPrompt asks on a terminal without showing what is typed. Where in is no terminal ok is false
// and nothing is asked; the question goes to out, which is never standard output.
func TerminalPrompt(in *os.File, out io.Writer) func(string) ([]byte, bool, error) {
	return func(question string) ([]byte, bool, error) {
		if !IsTerminal(in) {
			return nil, false, nil
		}
		fmt.Fprint(out, question)
		answer, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(out)
		if err != nil {
			return nil, true, fmt.Errorf("read from the terminal: %w", err)
		}
		return answer, true, nil
	}
}
