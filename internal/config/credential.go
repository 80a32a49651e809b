package config

import (
	"fmt"
	"regexp"

	"sallyport/internal/provider"
)

// CheckCredential compares the form of a credential's value with what the catalog says about the
// field in a mode, so that a live key in a sandbox connection, or the reverse, never starts. The error
// does not repeat the value.
func CheckCredential(f provider.CredentialField, mode provider.Mode, value []byte) error {
	if mode == provider.Mock || len(value) == 0 {
		return nil
	}
	for _, other := range []provider.Mode{provider.Live, provider.Sandbox} {
		shape, ok := f.Modes[other]
		if !ok || other == mode || !fits(shape, value) {
			continue
		}
		if own, ok := f.Modes[mode]; !ok || !fits(own, value) {
			return fmt.Errorf("%s has the form of a %s value, and the connection is in mode %s", f.Name, other, mode)
		}
	}
	if own, ok := f.Modes[mode]; ok && !fits(own, value) {
		return fmt.Errorf("%s does not have the form of a %s value of mode %s", f.Name, f.Title, mode)
	}
	if f.Pattern != "" && !fits(f.Pattern, value) {
		return fmt.Errorf("%s does not have the form of a %s", f.Name, f.Title)
	}
	return nil
}

func fits(pattern string, value []byte) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && re.Match(value)
}
