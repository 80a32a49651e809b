package provider

import "strings"

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
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	return best, best != ""
}

// editDistance counts the insertions, deletions and replacements of bytes from a to b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
