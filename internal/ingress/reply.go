package ingress

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sallyport/internal/problem"
)

// baseHeaders stand on every reply. The default is a reply that no cache keeps and no
// page embeds; what differs says so itself.
func baseHeaders(h http.Header, id string, secure bool) {
	h.Set("Sallyport-Request-Id", id)
	h.Set("Vary", "Origin")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

func problemHeaders(h http.Header, p *problem.Error) {
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if n := p.RetryAfterSeconds(); n > 0 {
		h.Set("Retry-After", strconv.Itoa(n))
	}
	switch p.Code {
	case problem.Unauthenticated:
		h.Set("WWW-Authenticate", "Bearer")
	case problem.MethodNotAllowed:
		if h.Get("Allow") == "" {
			h.Set("Allow", allMethods)
		}
	}
}

// refusalOf is the whole reply to a head that net/http never sees. CORS is right on it
// where the site is known and the framing was not in doubt.
func (s *Server) refusalOf(info *connInfo, h *head, p *problem.Error) []byte {
	id := newID()
	s.config.Log.Debug("refused", "request", id, "code", string(p.Code))
	s.tell(context.Background(), Refusal{Request: id, Code: p.Code, Client: info.peer})
	header := http.Header{}
	baseHeaders(header, id, info.secure)
	problemHeaders(header, p)
	if p.Code != problem.BadFraming && h.host != "" && info.listener.role != roleHTTP && info.listener.role != roleSDK {
		path, _, _ := strings.Cut(h.target, "?")
		route, _ := s.world.Load().find(info, h.host, path)
		if origin := h.only("Origin"); route.allowed(origin) {
			route.allow(header, origin)
		}
	}
	body := spoken(p, h.only("Origin")).Document(id)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Connection", "close")
	var out bytes.Buffer
	fmt.Fprintf(&out, "HTTP/1.1 %d %s\r\n", p.Status(), http.StatusText(p.Status()))
	header.Write(&out) //nolint:errcheck // a bytes.Buffer takes everything
	out.WriteString("\r\n")
	if h.method != http.MethodHead {
		out.Write(body)
	}
	return out.Bytes()
}

func entityTag(b []byte) string {
	sum := sha256.Sum256(b)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}
