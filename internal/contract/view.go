package contract

import "sallyport/internal/problem"

// View is which fields of an answer a caller receives. It is immutable.
type View struct{ paths []Path }

func (o *Operation) Lookup(p Path) (*Schema, error) {
	return nil, problem.New(problem.Internal, "not built")
}
func (o *Operation) LookupReply(p Path) (*Schema, error) {
	return nil, problem.New(problem.Internal, "not built")
}
func (o *Operation) Parse(in Input) (Args, []problem.Fault, error) {
	return Args{}, nil, problem.New(problem.Internal, "not built")
}
func (o *Operation) Check(a Args) []problem.Fault {
	return []problem.Fault{{Where: "", Found: "not built"}}
}
func (o *Operation) Encode(a Args, account map[string]string) (Output, error) {
	return Output{}, problem.New(problem.Internal, "not built")
}
func (o *Operation) View(returns []Path) (*View, error) {
	return nil, problem.New(problem.Internal, "not built")
}
func (o *Operation) CheckResponse(status int, contentType string, body []byte, v *View) (Reply, []problem.Fault, error) {
	return Reply{}, nil, problem.New(problem.Internal, "not built")
}
func (o *Operation) RedactArgs(a Args) []byte                   { return []byte(`"[not built]"`) }
func (o *Operation) RedactReply(status int, body []byte) []byte { return []byte(`"[not built]"`) }
