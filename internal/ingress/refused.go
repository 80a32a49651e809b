package ingress

import (
	"context"
	"net/netip"

	"sallyport/internal/problem"
)

// Refusal is a request that was turned down before it was anybody's call.
type Refusal struct {
	Request    string // request id
	Site       string // empty where it names none
	Connection string
	Code       problem.Code // bad_target, unauthenticated or origin_refused
	Client     netip.Addr   // the peer, where nobody who may has said who the client is
}

// tell reports a refusal that is worth an entry in the audit log.
func (s *Server) tell(ctx context.Context, r Refusal) {
	if s.config.Refused == nil {
		return
	}
	switch r.Code {
	case problem.BadTarget, problem.Unauthenticated, problem.OriginRefused:
		s.config.Refused(ctx, r)
	}
}

// refusal is what is known of a request that was refused here.
func (x *exchange) refusal(code problem.Code) Refusal {
	r := Refusal{Request: x.id, Code: code, Client: x.client}
	if !r.Client.IsValid() {
		r.Client = x.info.peer
	}
	if x.route.site != nil {
		r.Site = x.route.site.site.Name
	}
	if x.route.conn != nil {
		r.Connection = x.route.conn.Name
	}
	return r
}
