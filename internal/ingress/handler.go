package ingress

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
)

// exchange is one request while it is here.
type exchange struct {
	s      *Server
	world  *Snapshot
	w      *recorder
	r      *http.Request
	info   *connInfo
	id     string
	path   string
	query  string
	origin string
	client netip.Addr
	route  route
	among  []egress.Target // of a request through a tunnel, whose key says which is meant
	// refused is the problem that was answered; recorded: the pipeline has written the
	// call's own line.
	refused  *problem.Error
	recorded bool
	held     int64 // bytes reserved for the body
}

// recorder knows whether a reply has begun, and its status.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// newID makes a request id: ours, never one that a client sent.
func newID() string { return strings.ToLower(rand.Text()) }

// serve is the handler of both protocols.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	info, _ := r.Context().Value(connKey{}).(*connInfo)
	x := &exchange{s: s, world: s.world.Load(), w: &recorder{ResponseWriter: w}, r: r, info: info, id: newID()}
	begun := time.Now()
	baseHeaders(w.Header(), x.id, info.secure)
	defer x.finish(begun)
	if p := x.run(); p != nil {
		x.fail(p)
	}
}

// finish turns a panic into a problem and writes the log line. A panic after the reply
// began cuts the stream: half an answer must not look whole.
func (x *exchange) finish(begun time.Time) {
	defer func() { x.s.bodies.Add(-x.held) }()
	if v := recover(); v != nil {
		if v == http.ErrAbortHandler { //nolint:errorlint // net/http's sentinel is compared so
			panic(v)
		}
		x.s.counts.panics.Add(1)
		x.s.config.Log.Error("panic in a request", "request", x.id, "panic", fmt.Sprintf("%T", v), "reason", egress.Frames())
		if x.w.status != 0 {
			panic(http.ErrAbortHandler)
		}
		x.recorded = true
		x.fail(problem.From(errors.New("panic")))
	}
	if !x.recorded {
		x.log(time.Since(begun))
	}
}

// log writes the one line of a request that never reached the pipeline: an error where the
// gate failed, something to read where a site refused, and else for who looks closely,
// because strangers can make any number.
func (x *exchange) log(took time.Duration) {
	level, message := slog.LevelDebug, "request"
	attrs := []slog.Attr{slog.String("request", x.id), slog.String("kind", x.route.end.String()),
		slog.Int("status", x.w.status), slog.Int64("bytes_out", x.w.bytes), slog.Duration("took", took)}
	if x.route.site != nil {
		attrs = append(attrs, slog.String("site", x.route.site.site.Name))
	}
	if x.route.conn != nil {
		attrs = append(attrs, slog.String("connection", x.route.conn.Name))
	}
	if p := x.refused; p != nil {
		message, attrs = "refused", append(attrs, slog.String("code", string(p.Code)))
		switch {
		case p.Status() >= http.StatusInternalServerError && p.Code != problem.ShuttingDown:
			level, message, attrs = slog.LevelError, "failed", append(attrs, slog.Any("error", p))
		case p.Code == problem.EventRefused: // the provider's dashboard says only that it failed
			level, attrs = slog.LevelInfo, append(attrs, slog.Any("error", p))
		case x.route.site != nil:
			level = slog.LevelInfo
		}
	}
	x.s.config.Log.LogAttrs(x.r.Context(), level, message, attrs...)
}

// fail writes p. It is the one place where an error becomes HTTP here.
func (x *exchange) fail(p *problem.Error) {
	x.s.counts.count(p.Code)
	x.refused = p
	if !x.recorded {
		x.s.tell(x.r.Context(), x.refusal(p.Code))
	}
	h := x.w.Header()
	problemHeaders(h, p)
	if x.r.ProtoMajor == 1 && (p.Code == problem.BadFraming || p.Code == problem.RequestTimeout || p.Code == problem.BodyTooLarge) {
		h.Set("Connection", "close")
	}
	body := spoken(p, x.r.Header.Get("Origin")).Document(x.id)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(p.Status())
	if x.r.Method != http.MethodHead {
		x.w.Write(body) //nolint:errcheck // the peer is gone: nobody to tell
	}
}

// spoken adds an "error" member for callers that are no browsers, where the pipeline has
// not put in the provider's own. stripe (Node) 23.1.0 takes an answer of any status without
// one for a success: an SDK with a wrong address would believe that it paid.
func spoken(p *problem.Error, origin string) *problem.Error {
	if origin != "" || p.Extra != nil {
		return p
	}
	c := *p
	c.Extra = map[string]any{"error": map[string]any{"code": string(p.Code), "message": p.Detail}}
	return &c
}

// run takes the request through front, client address and routes.
func (x *exchange) run() *problem.Error {
	if x.r.ProtoMajor != 1 {
		if _, p := headOf(x.r); p != nil {
			return p
		}
	}
	x.path, x.query, _ = strings.Cut(x.r.RequestURI, "?")
	x.origin = x.r.Header.Get("Origin")
	if x.info.listener.role == roleHTTP {
		return x.plain()
	}
	if x.info.listener.role == roleSDK {
		return x.tunnelled()
	}
	var p *problem.Error
	if x.route, p = x.world.find(x.info, x.r.Host, x.path); p != nil {
		if x.route.allowed(x.origin) {
			x.route.allow(x.w.Header(), x.origin)
		}
		return p
	}
	if x.r.Method == http.MethodOptions {
		return x.preflight()
	}
	return x.dispatch()
}

func (x *exchange) dispatch() *problem.Error {
	switch x.route.end {
	case endHealth:
		return x.health()
	case endReady:
		return x.ready()
	case endKeys:
		return x.keys()
	case endScript:
		return x.script()
	case endOpenID:
		return x.openID()
	case endReceipts:
		if x.world.receipts == nil {
			return notFound()
		}
		return x.receipts()
	case endHook:
		return x.hook()
	case endLogin, endCallback, endDeletion, endDeauthorize:
		return x.login()
	case endConnected:
		return x.connected()
	case endSession, endCall, endMe, endLogout, endConnections, endConnect:
	default:
		return notFound()
	}
	if p := x.checkBrowser(); p != nil {
		return p
	}
	var p *problem.Error
	if x.client, p = x.s.config.Behind.client(x.info.peer, x.r.Header); p != nil {
		return p
	}
	switch x.route.end {
	case endSession:
		return x.session()
	case endMe:
		return x.me()
	case endLogout:
		return x.logout()
	case endConnections, endConnect:
		return x.connects()
	}
	return x.call()
}

// readBody reads at most limit bytes and tells why it cannot.
func (x *exchange) readBody(limit int64) ([]byte, error) {
	limit = min(limit, x.s.limits.Body)
	if x.r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	body, err := x.readAll(limit)
	if err == nil {
		return body, nil
	}
	var p *problem.Error
	switch {
	case errors.As(err, &p): // from the filter, or our own
		return nil, p
	case errors.Is(err, os.ErrDeadlineExceeded): // HTTP/2: Limits.ReadTotal
		return nil, problem.Wrap(err, problem.RequestTimeout, "the body did not arrive in time")
	}
	return nil, &problem.Error{Code: problem.BadFraming, Detail: "the body did not arrive as announced"}
}

// smallBody is what a body may take without counting: ordinary calls go on while somebody
// holds the room for large ones.
const smallBody = 16 << 10

// readAll takes room as the bytes come, and for as long as the request lives: thousands of
// large bodies that arrive slowly must not fill the memory.
func (x *exchange) readAll(limit int64) ([]byte, error) {
	body := make([]byte, 0, 512)
	for {
		if len(body) == cap(body) {
			size := min(4*int64(cap(body)), limit+1)
			if size > smallBody && !x.reserve(size-int64(cap(body))) {
				p := problem.New(problem.Overloaded, "too many large bodies are arriving")
				p.RetryAfter = time.Second
				return nil, p
			}
			body = append(make([]byte, 0, size), body...)
		}
		n, err := x.r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > limit:
			return nil, tooLarge(limit)
		case err == io.EOF: //nolint:errorlint // an error that wraps it tells of a body that is cut short
			return body, nil
		case err != nil:
			return nil, err
		}
	}
}

// reserve takes n bytes of what all large bodies may have together; finish gives them back.
func (x *exchange) reserve(n int64) bool {
	x.held += n
	return x.s.bodies.Add(n) <= x.s.limits.Bodies
}

func tooLarge(limit int64) *problem.Error {
	return problem.New(problem.BodyTooLarge, "the body is larger than %d bytes", limit)
}
