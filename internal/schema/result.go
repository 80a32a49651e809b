package schema

// Step is one step of the way to a place: a member's name, or an element's index.
type Step struct {
	Name  string
	Index int // of an element; -1: Name is a member's name
}

// Fault is one broken rule.
type Fault struct {
	// Node is where on the tape: the value, or for a missing member the object.
	Node int
	// Path leads from where the check began to the place, with the missing member's name.
	Path []Step
	// Rule is the keyword that is broken; "closed" for an unknown name of a request.
	Rule string
	// Found says in words what stands there: never a value under a mark or of an answer.
	Found string
	// Want says in words what the schema wants.
	Want string
	// Near is the allowed name nearest to an unknown one, or empty.
	Near string
}

// Tally counts what a reduced value lacks.
type Tally struct {
	Dropped int      // members that the schema does not know
	Unknown []string // where the first 20 different ones of them are, elements written []
	Reduced int      // members that the lens does not see
}
