package egress

import "context"

// ReplaceStep puts another check in a step's place, for tests of what the pipeline does
// with its decisions.
func (g *Gate) ReplaceStep(name string, run func(ctx context.Context) Decision) {
	for i := range g.steps {
		if g.steps[i].name == name {
			g.steps[i].run = func(ctx context.Context, _ *Gate, _ *exchange) Decision { return run(ctx) }
			return
		}
	}
	panic("no step " + name)
}

// Answered reports whether a step runs when the provider has answered.
func Answered(step string) bool {
	for _, s := range pipeline() {
		if s.name == step {
			return s.after || s.name == "answer"
		}
	}
	return false
}

// Steps lists the steps of a call in order.
func Steps() []string {
	var out []string
	for _, s := range pipeline() {
		out = append(out, s.name)
	}
	return out
}
