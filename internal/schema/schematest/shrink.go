package schematest

// Shrink looks for a smaller tree that still fails: it leaves out members and elements, and puts
// parts in the place of the whole, as long as fails says so. It tries at most tries times.
func Shrink(v any, tries int, fails func(any) bool) any {
	for changed := true; changed; {
		changed = false
		for _, smaller := range candidates(v) {
			if tries--; tries < 0 {
				return v
			}
			if fails(smaller) {
				v, changed = smaller, true
				break
			}
		}
	}
	return v
}

// candidates are trees with one thing less, the largest cuts first.
func candidates(v any) []any {
	var out []any
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			out = append(out, v[k])
		}
		for _, k := range sortedKeys(v) {
			without := Copy(v).(map[string]any)
			delete(without, k)
			out = append(out, without)
		}
		for _, k := range sortedKeys(v) {
			for _, c := range candidates(v[k]) {
				with := Copy(v).(map[string]any)
				with[k] = c
				out = append(out, with)
			}
		}
	case []any:
		for i := range v {
			without := append(append([]any{}, v[:i]...), v[i+1:]...)
			out = append(out, v[i], without)
		}
		for i := range v {
			for _, c := range candidates(v[i]) {
				with := append([]any{}, v...)
				with[i] = c
				out = append(out, with)
			}
		}
	}
	return out
}
