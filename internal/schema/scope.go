package schema

// enter opens the dynamic scope of the resource that a schema belongs to.
func (m *Machine) enter(n *node) { m.scopes = append(m.scopes, n.scope) }

func (m *Machine) leave() { m.scopes = m.scopes[:len(m.scopes)-1] }

// dynamic finds what a $dynamicRef refers to: the anchor in the outermost resource of the
// scope that has it, else what the reference says without scope.
func (m *Machine) dynamic(c *comb) ID {
	for _, r := range m.scopes {
		m.left--
		if id, ok := m.p.anchor(r, c.b); ok {
			return id
		}
	}
	return ID(c.a)
}

// anchor finds a dynamic anchor by resource and number of its name.
func (p *Program) anchor(resource, name uint32) (ID, bool) {
	for _, a := range p.anchors {
		if a.resource == resource && a.name == name {
			return a.id, true
		}
	}
	return 0, false
}

func (p *Program) eachAnchor(name uint32, do func(ID)) {
	for _, a := range p.anchors {
		if a.name == name {
			do(a.id)
		}
	}
}
