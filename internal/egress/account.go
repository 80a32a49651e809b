package egress

import (
	"context"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
)

// checkAccount refuses a header by which the provider would choose another account. It is
// refused and not left out, for a backend too: the call would be made, and not for the
// account that its caller meant. A field that chooses one is refused from a browser, also
// where the grammar only observes.
func checkAccount(_ context.Context, _ *Gate, x *exchange) Decision {
	for _, h := range x.conn.pack.AccountHeaders {
		if len(x.call.Header.Values(h.Name)) > 0 {
			return deny(ourAccount("the header "+h.Name, h.Name))
		}
	}
	if x.rule == nil {
		return allow("the connection's own account")
	}
	for _, path := range x.rule.accounts {
		for _, at := range elements(path, x.args) {
			if _, given := x.args.Get(at); given && !leftOpen(x, at) {
				return deny(ourAccount(at.String(), at.String()))
			}
		}
	}
	return allow("the connection's own account")
}

func ourAccount(what, where string) *problem.Error {
	p := problem.New(problem.ParameterRefused, "%s selects an account, and which one a connection works with stands in the file", what)
	p.Faults = []problem.Fault{{Where: where, Found: "a value that selects an account", Want: "nothing here"}}
	return p.WithHint("leave it out; another account is another connection in sallyport.yaml")
}

// accountFields are the places of a request where it would choose an account.
func accountFields(op *contract.Operation) (paths []contract.Path) {
	for _, p := range op.Places(func(s *contract.Schema) bool { return s.SelectsAccount }) {
		paths = append(paths, p.Path)
	}
	return paths
}
