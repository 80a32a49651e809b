package egress

import (
	"context"

	"sallyport/internal/problem"
)

// checkAccount refuses a header by which the provider would choose another account. It is
// refused and not left out, for a backend too: the call would be made, and not for the
// account that its caller meant.
func checkAccount(_ context.Context, _ *Gate, x *exchange) Decision {
	for _, h := range x.conn.pack.AccountHeaders {
		if len(x.call.Header.Values(h.Name)) > 0 {
			p := problem.New(problem.ParameterRefused, "the header %s selects an account, and which one a connection works with stands in the file", h.Name)
			p.Faults = []problem.Fault{{Where: h.Name, Found: "a header that selects an account", Want: "nothing here"}}
			return deny(p.WithHint("leave the header out; another account is another connection in sallyport.yaml"))
		}
	}
	return allow("the connection's own account")
}
