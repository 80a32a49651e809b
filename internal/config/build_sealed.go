package config

import (
	"fmt"
	"slices"

	"sallyport/internal/contract"
)

// sealed reads the parameters whose values come inside a permit. Ids may stand here: the
// site's backend chooses them.
func (r *ruler) sealed(v *value) {
	for _, item := range v.many() {
		path, schema, ok := r.parameter(item, item.str(), "sealed")
		if !ok {
			continue
		}
		if every(path) {
			r.fault(item, fmt.Sprintf("%s names every element of a list, and the browser would say how many there are", path),
				"seal the whole list, or one element such as "+firstElements(path).String())
			continue
		}
		if schema.Data == contract.Card {
			r.fault(item, fmt.Sprintf("%s is card data, which must not pass the gate", path), "remove it: use the provider's own script in the page for cards")
		}
		r.rule.Sealed = append(r.rule.Sealed, path)
	}
}

func every(p contract.Path) bool {
	return slices.ContainsFunc(p.Steps(), func(s contract.Step) bool { return s.Name == "" && s.Index == contract.Every })
}

// receipt reads the fields of the answer that the gate states, signed. A receipt travels
// through the page, so it holds nothing secret, and in a header, so it holds single values.
func (r *ruler) receipt(v *value) {
	for _, item := range v.many() {
		if item.str() == "" {
			continue
		}
		path, err := contract.ParsePath(item.text)
		var schema *contract.Schema
		if err == nil {
			schema, err = r.op.LookupReply(path)
		}
		switch {
		case err != nil:
			found, hint := r.unknown(err, "")
			r.fault(item, found, orElse(hint, "write a field of the provider's answer, such as id"))
		case !single(path, schema):
			r.fault(item, fmt.Sprintf("%s is not a single value, and a receipt states single values", path), "name the values themselves, such as status or amount")
		case schema.Data == contract.Secret || schema.Data == contract.Card:
			r.fault(item, fmt.Sprintf("%s is secret, and a receipt passes through the page", path), "remove it from receipt: a backend reads it with its own call")
		case slices.ContainsFunc(r.rule.Receipt, func(p contract.Path) bool { return p.String() == path.String() }):
			r.fault(item, fmt.Sprintf("%s stands twice under receipt", path), "keep one of them")
		default:
			r.rule.Receipt = append(r.rule.Receipt, path)
		}
	}
}

// single reports whether a field holds one value, as far as the contract says what it holds.
// An alternative that is an object (a provider's expandable id) is fine: where the answer
// has one, it is left out of the receipt.
func single(path contract.Path, s *contract.Schema) bool {
	for _, step := range path.Steps() {
		if step.Name == "" {
			return false
		}
	}
	if len(s.Types) == 0 {
		return len(s.Properties) == 0 && s.Items == nil
	}
	return slices.ContainsFunc(s.Types, func(t string) bool { return t != "object" && t != "array" })
}
