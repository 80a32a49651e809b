package provider

import (
	"strings"

	"sallyport/internal/schema"
)

// Nearest gives the known name that name was probably meant to be: one that it is a
// part of, or one that differs by few letters. False: none is near.
func Nearest(name string, known []string) (string, bool) {
	name = strings.ToLower(name)
	if len(name) > 64 || name == "" {
		return "", false
	}
	best, distance := "", max(1, len(name)/3)+1
	for _, k := range known {
		if len(name) >= 3 && (strings.Contains(k, name) || strings.Contains(name, k)) {
			return k, true
		}
		if d := schema.Distance(name, k); d < distance {
			best, distance = k, d
		}
	}
	return best, best != ""
}
