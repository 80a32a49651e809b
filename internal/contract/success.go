package contract

import "slices"

// Successes lists one status for each entry of responses that is about success: 200 for
// "200", 200 for "2XX"; ascending, each once. An answer with another 2xx status is an error
// of the provider, or the contract's "default".
func (o *Operation) Successes() []int {
	var all []int
	for _, r := range o.replies {
		if r.low >= 200 && r.low < 300 {
			all = append(all, r.low)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
