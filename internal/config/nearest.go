package config

import "slices"

// nearest finds the known name that a mistyped one was most likely meant to be; "" if none is near.
func nearest(name string, known []string) string {
	best, bestAt := "", len(name)/3+2
	if len(name) > 64 {
		return ""
	}
	for _, k := range known {
		if d := distance(name, k); d < bestAt {
			best, bestAt = k, d
		}
	}
	return best
}

// distance counts the edits between two words: insert, delete, replace, swap of neighbours.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[0], rows[1], rows[2]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		rows[0], rows[1], rows[2] = last, row, before
	}
	return rows[1][len(b)]
}

// didYouMean makes a hint from a mistyped name and the known ones.
func didYouMean(name string, known []string, otherwise string) string {
	if near := nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	if len(known) > 0 && len(known) <= 24 {
		sorted := slices.Clone(known)
		slices.Sort(sorted)
		return otherwise + " one of " + join(sorted)
	}
	return otherwise + " a known name"
}

func join(names []string) string {
	out := ""
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out
}
