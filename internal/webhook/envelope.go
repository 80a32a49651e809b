package webhook

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/webhook/scheme"
)

// head is what is kept of a request beside its body.
type head struct {
	Method string      `json:"method"`
	URL    string      `json:"url"`
	Header http.Header `json:"header"`
}

var errEnvelope = errors.New("the stored event cannot be read")

// pack writes a request as it is sealed: the length of the head (4 bytes, big-endian), the head
// as JSON, the body as it came.
func pack(r scheme.Request) []byte {
	h, err := json.Marshal(head{Method: r.Method, URL: r.URL, Header: kept(r.Header)})
	if err != nil { // strings and lists of strings
		panic(err)
	}
	out := make([]byte, 4, 4+len(h)+len(r.Body))
	binary.BigEndian.PutUint32(out, uint32(len(h)))
	return append(append(out, h...), r.Body...)
}

// unpack reads what pack wrote. The body is a part of packed.
func unpack(packed []byte) (scheme.Request, error) {
	if len(packed) < 4 {
		return scheme.Request{}, errEnvelope
	}
	n := int64(binary.BigEndian.Uint32(packed))
	if n > int64(len(packed)-4) {
		return scheme.Request{}, errEnvelope
	}
	var h head
	if err := json.Unmarshal(packed[4:4+n], &h); err != nil {
		return scheme.Request{}, errors.Join(errEnvelope, err)
	}
	return scheme.Request{Method: h.Method, URL: h.URL, Header: h.Header, Body: packed[4+n:]}, nil
}

// hop are headers of the way here, not of the event.
var hop = []string{"Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Length", "Cookie", "Expect", "Forwarded", "Host", "Keep-Alive",
	"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "X-Real-Ip", "True-Client-Ip"}

// kept are the headers that a site's own code may read: not those of the way.
func kept(all http.Header) http.Header {
	out := make(http.Header, len(all))
	for name, values := range all {
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(hop, name) || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Cf-") || strings.HasPrefix(name, "Sallyport-") {
			continue
		}
		out[name] = values
	}
	return out
}
