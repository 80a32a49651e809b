package config

import (
	"slices"
	"strings"

	"sallyport/internal/provider"
)

// didYouMean makes a hint from a mistyped name and the known ones.
func didYouMean(name string, known []string, otherwise string) string {
	if near, ok := provider.Nearest(name, known); ok {
		return "did you mean " + near + "?"
	}
	if len(known) > 0 && len(known) <= 24 {
		sorted := slices.Clone(known)
		slices.Sort(sorted)
		return otherwise + " one of " + strings.Join(sorted, ", ")
	}
	return otherwise + " a known name"
}
