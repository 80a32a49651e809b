package config

import (
	"slices"

	"sallyport/internal/contract"
	"sallyport/internal/site"
)

// amountNames are what the contracts of the catalog call an amount of money.
func amountNames() []string { return []string{"amount", "unit_amount", "amount_to_capture", "value"} }

// freeAmount finds an amount of money at or below a free parameter of an operation that
// moves money.
func freeAmount(op *contract.Operation, rule *site.BrowserRule) (contract.Path, bool) {
	if !op.HasEffect(contract.EffectMoney) {
		return contract.Path{}, false
	}
	for _, path := range rule.Free {
		if schema, err := op.Lookup(path); err == nil {
			if sub, ok := amountBelow(schema, path, 0); ok && !ruled(rule, sub) {
				return sub, true
			}
		}
	}
	return contract.Path{}, false
}

func amountBelow(s *contract.Schema, path contract.Path, depth int) (contract.Path, bool) {
	if s == nil || depth > 8 {
		return path, false
	}
	steps := path.Steps()
	if last := steps[len(steps)-1].Name; len(s.Order) == 0 && slices.Contains(amountNames(), last) {
		return path, true
	}
	for _, name := range s.Order {
		if sub, ok := amountBelow(s.Properties[name], path.Child(name), depth+1); ok {
			return sub, true
		}
	}
	return amountBelow(s.Items, path.At(contract.Every), depth+1)
}

// ruled reports whether a closer rule than free holds for a path.
func ruled(rule *site.BrowserRule, path contract.Path) bool {
	for _, f := range rule.Fixed {
		if f.Path.Overlaps(path) {
			return true
		}
	}
	for _, c := range rule.OneOf {
		if c.Path.Overlaps(path) {
			return true
		}
	}
	return slices.ContainsFunc(rule.Range, func(r site.Range) bool { return r.Path.Overlaps(path) })
}
