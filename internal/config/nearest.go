package config

import (
	"slices"
	"strings"

	"sallyport/internal/provider"
)

// Nearest finds the known name that a mistyped one was most likely meant to be. Swapped neighbours are
// one mistake: hands type them that way.
func Nearest(name string, known []string) (string, bool) {
	if near, ok := provider.Nearest(name, known); ok || len(name) > 64 {
		return near, ok
	}
	for _, k := range known {
		for i := 0; i+1 < len(name); i++ {
			if len(k) == len(name) && name[:i]+name[i+1:i+2]+name[i:i+1]+name[i+2:] == k {
				return k, true
			}
		}
	}
	return "", false
}

// didYouMean makes a hint from a mistyped name and the known ones.
func didYouMean(name string, known []string, otherwise string) string {
	if near, ok := Nearest(name, known); ok {
		return "did you mean " + near + "?"
	}
	if len(known) == 1 {
		return otherwise + " " + known[0]
	}
	if len(known) > 0 && len(known) <= 24 {
		sorted := slices.Clone(known)
		slices.Sort(sorted)
		return otherwise + " one of " + strings.Join(sorted, ", ")
	}
	return otherwise + " a known name"
}
