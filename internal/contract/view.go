package contract

import (
	"fmt"

	"sallyport/internal/schema"
)

// View is which fields of an answer a caller receives. It is immutable and safe for
// concurrent use; nil means every field that the contract knows.
type View struct {
	paths []Path
	root  *schema.Lens
}

// Paths lists what was asked for. The slice must not be changed.
func (v *View) Paths() []Path { return v.paths }

// View makes a view of the success answer. nil returns everything that the contract
// knows. A path names a field with all below it; fields marked secret are seen only
// when they are named themselves. Elements of arrays are written data[].id, because a
// single element cannot be cut out of an array without moving the others.
func (o *Operation) View(returns []Path) (*View, error) {
	if returns == nil {
		return nil, nil
	}
	root := &schema.Lens{}
	s := o.successTree()
	for _, p := range returns {
		field, err := o.lookupReply(s, p)
		if err != nil {
			return nil, err
		}
		steps := p.steps
		if rootName(s) != "" {
			steps = steps[1:]
		}
		l := root
		for _, step := range steps {
			if step.Name == "" && step.Index != Every {
				return nil, fmt.Errorf("%s: write [] for every element instead of [%d]", p, step.Index)
			}
			l = l.Grow(step.Name, step.Name == "")
		}
		l.All, l.Secrets = true, l.Secrets || field.rules.secret
	}
	root.Spread()
	return &View{paths: returns, root: root}, nil
}
