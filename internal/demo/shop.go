package demo

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sallyport/web"
)

type shopOptions struct {
	Self  string // address of the shop
	Gate  string // address of the gate
	Dir   string // of the tour's files
	Tape  *tape
	Phone *phone
	Mocks []*upstream
}

// shop serves the page, and what the tour shows beside it: what reached the providers,
// the visitor's telephone, and the stand-in for the poll provider's survey page.
type shop struct {
	options shopOptions
	mux     *http.ServeMux
}

// gateMark stands in the page's script where the address of client.js belongs.
const gateMark = "https://api.shop.example/client.js"

func newShop(o shopOptions) (http.Handler, error) {
	s := &shop{options: o, mux: http.NewServeMux()}
	gate := "http://" + o.Gate + "/" + siteName + "/client.js"
	for path, file := range map[string]struct{ name, kind string }{
		"/{$}":      {"index.html", "text/html; charset=utf-8"},
		"/shop.css": {"shop.css", "text/css; charset=utf-8"},
		"/shop.js":  {"shop.js", "text/javascript; charset=utf-8"},
		"/gate.js":  {"gate.js", "text/javascript; charset=utf-8"},
		"/icon.svg": {"icon.svg", "image/svg+xml"},
	} {
		raw, err := fs.ReadFile(web.Demo, "demo/"+file.name)
		if err != nil {
			return nil, fmt.Errorf("read the shop's page: %w", err)
		}
		body := []byte(strings.ReplaceAll(string(raw), gateMark, gate))
		s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { send(w, file.kind, body) })
	}
	s.mux.HandleFunc("GET /passed", s.passed)
	s.mux.HandleFunc("GET /phone", s.phone)
	s.mux.HandleFunc("POST /survey", s.survey)
	s.mux.HandleFunc("GET /"+configName, s.file)
	return s, nil
}

// ServeHTTP sets what every page of the shop has. The policy names the gate as the only
// other place that the page may load a script from or speak to.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host != s.options.Self { // another name for this address is another site's page
		http.Error(w, "this shop is at http://"+s.options.Self+"/", http.StatusMisdirectedRequest)
		return
	}
	gate := "http://" + s.options.Gate
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self' "+gate+"; connect-src 'self' "+gate+
		"; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r)
}

func send(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body) // the visitor went away: nothing to do
}

func sendJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "not available", http.StatusInternalServerError)
		return
	}
	send(w, "application/json", body)
}

// passed tells what reached the providers after a number; without one, only the newest number.
func (s *shop) passed(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.Atoi(r.URL.Query().Get("after"))
	if err != nil || after < 0 {
		_, last := s.options.Tape.after(0)
		sendJSON(w, map[string]any{"last": last, "passages": []passage{}})
		return
	}
	passages, last := s.options.Tape.after(after)
	sendJSON(w, map[string]any{"last": last, "passages": passages})
}

func (s *shop) phone(w http.ResponseWriter, r *http.Request) {
	sendJSON(w, map[string]any{"message": s.options.Phone.message(r.URL.Query().Get("to"))})
}

// survey stands in for the poll provider's own page, to which the visitor's browser
// speaks without the gate.
func (s *shop) survey(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "http://"+s.options.Self {
		http.Error(w, "only from the shop's own page", http.StatusForbidden)
		return
	}
	var sent struct{ Choice string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&sent); err != nil || sent.Choice == "" || len(sent.Choice) > 200 {
		http.Error(w, "one choice, please", http.StatusBadRequest)
		return
	}
	for _, m := range s.options.Mocks {
		if m.conn.provider == "zigpoll" {
			m.polls.add(sent.Choice, r.UserAgent(), time.Now())
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// file shows the gate's file. It holds no secret: that is its point.
func (s *shop) file(w http.ResponseWriter, _ *http.Request) {
	raw, err := os.ReadFile(filepath.Join(s.options.Dir, configName))
	if err != nil {
		http.Error(w, "not available", http.StatusInternalServerError)
		return
	}
	send(w, "text/plain; charset=utf-8", raw)
}
