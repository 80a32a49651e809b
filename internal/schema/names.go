package schema

import "strings"

// Nearest finds the allowed name that was probably meant, or "".
func Nearest(name string, allowed []string) string {
	if len(name) > 64 {
		return ""
	}
	best, limit := "", max(1, min(3, len(name)/3))+1
	for _, a := range allowed {
		if strings.EqualFold(a, name) || flat(a) == flat(name) {
			return a
		}
		if len(a) > 64 {
			continue
		}
		if d := Distance(name, a); d < limit {
			best, limit = a, d
		}
	}
	return best
}

// flat compares amountReceived, amount-received and amount_received as equal.
func flat(s string) string {
	return strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(s, "_", ""), "-", ""))
}

// Distance is the Levenshtein distance in bytes: how many were inserted, deleted or
// replaced from a to b.
func Distance(a, b string) int {
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
