package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestHostileData is security reference §5.7, data: a backend with a good key and a browser
// with a good session send bodies with one trick; none reaches the provider changed, and
// none but the honest reaches it at all.
func TestHostileData(t *testing.T) {
	t.Parallel()
	x := hostileTarget(t)
	const intents = "/shop/api/payments/v1/payment_intents"
	browser := map[string]string{"Origin": origin, "Authorization": "Bearer " + x.visit}
	backend := map[string]string{"Authorization": "Bearer " + x.key}
	bom := "\xef\xbb\xbf"
	for _, row := range []struct {
		name, body, media string
		status            []int
	}{
		{"mass assignment", `{"amount":1900,"role":"admin"}`, "application/json", []int{422}},
		{"other case", `{"amount":1900,"Amount":1}`, "application/json", []int{422}},
		{"__proto__", `{"amount":1900,"__proto__":{"x":1}}`, "application/json", []int{422}},
		{"constructor", `{"amount":1900,"constructor":{"prototype":{"x":1}}}`, "application/json", []int{422}},
		{"twin keys", `{"amount":1900,"amount":600}`, "application/json", []int{400}},
		{"twin keys, escaped", `{"amount":1900,"\u0061mount":600}`, "application/json", []int{400}},
		{"depth", strings.Repeat("[", 20000), "application/json", []int{400}},
		{"depth in an object", strings.Repeat(`{"metadata":`, 100) + "1" + strings.Repeat("}", 100), "application/json", []int{400, 422}},
		{"1e400", `{"amount":1e400}`, "application/json", []int{400, 422}},
		{"2^53+1", `{"amount":9007199254740993}`, "application/json", []int{422}},
		{"-0", `{"amount":-0}`, "application/json", []int{422}},
		{"1900.0", `{"amount":1900.0}`, "application/json", []int{422}},
		{"10,000 digits", `{"amount":` + strings.Repeat("9", 10000) + `}`, "application/json", []int{400, 422}},
		{"leading zero", `{"amount":01900}`, "application/json", []int{400}},
		{"NaN", `{"amount":NaN}`, "application/json", []int{400}},
		{"0xff", "{\"amount\":1900,\"receipt_email\":\"a\xffb\"}", "application/json", []int{400}},
		{"lone surrogate", `{"amount":1900,"receipt_email":"\ud800"}`, "application/json", []int{400}},
		{"overlong", "{\"amount\":1900,\"receipt_email\":\"\xc0\xae\"}", "application/json", []int{400}},
		{"BOM", bom + `{"amount":1900}`, "application/json", []int{400}},
		{"UTF-16", "\xff\xfe{\x00}\x00", "application/json", []int{400}},
		{"two documents", `{"amount":1900}{"amount":1}`, "application/json", []int{400}},
		{"a comment", `{"amount":1900}//`, "application/json", []int{400}},
		{"trailing comma", `{"amount":1900,}`, "application/json", []int{400}},
		{"not an object", `[1900]`, "application/json", []int{400, 422}},
		{"nothing", ``, "application/json", []int{400, 415, 422}},
		{"text/plain", `{"amount":1900}`, "text/plain", []int{415}},
		{"charset utf-7", `{"amount":1900}`, "application/json;charset=utf-7", []int{415, 400}},
		{"multipart", "--x\r\nContent-Disposition: form-data; name=amount\r\n\r\n1900\r\n--x--", "multipart/form-data; boundary=x", []int{415}},
		{"XXE", `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><amount>&a;</amount>`, "application/xml", []int{415}},
		{"form, twice", "amount=1900&amount=600", "application/x-www-form-urlencoded", []int{400, 422}},
		{"form, semicolon", "amount=1900;currency=usd", "application/x-www-form-urlencoded", []int{400, 422}},
		{"form, bad percent", "amount=%zz", "application/x-www-form-urlencoded", []int{400, 422}},
		{"form, NUL", "amount=1900%00", "application/x-www-form-urlencoded", []int{400, 422}},
		{"form, other digits", "amount=%EF%BC%91%EF%BC%99%EF%BC%90%EF%BC%90", "application/x-www-form-urlencoded", []int{422}},
		{"1 MiB and more", `{"receipt_email":"` + strings.Repeat("a", 1<<20) + `"}`, "application/json", []int{413}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for who, h := range map[string]map[string]string{"browser": browser, "backend": backend} {
				h["Content-Type"] = row.media
				r := x.g.Do("POST", intents, row.body, h)
				if !slices.Contains(row.status, r.Status) {
					t.Errorf("%s: %d %s, want %v", who, r.Status, r.Body, row.status)
				}
				if strings.Contains(r.Body, "/etc/passwd") || len(r.Body) > 16<<10 {
					t.Errorf("%s: the refusal repeats what was sent: %.300s", who, r.Body)
				}
			}
		})
	}
	if seen := x.up.Requests(); len(seen) != 0 {
		t.Errorf("%d requests reached the provider: %+v", len(seen), seen[0])
	}
	browser["Content-Type"] = "application/json"
	exact := "a\u2028b\u202e\u200bé e\u0301 ＜ſK \x1b[2J\n{\"level\":\"fake\"}"
	raw, err := json.Marshal(map[string]any{"amount": 1900, "receipt_email": exact})
	if err != nil {
		t.Fatal(err)
	}
	if r := x.g.Do("POST", intents, string(raw), browser); r.Status == 200 {
		want := "receipt_email=" + strings.ReplaceAll(formEscape(exact), "%20", "+")
		if body := x.up.Requests()[0].Body; !strings.Contains(strings.ReplaceAll(body, "%20", "+"), want) {
			t.Errorf("the words were changed on the way:\n%s\nwant\n%s", body, want)
		}
	} else if r.Status != 422 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	x.logHoldsLines(t)
}

func formEscape(s string) string {
	var out strings.Builder
	for _, b := range []byte(s) {
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("-_.~", b) >= 0 {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}

// logHoldsLines: every line of the log is one JSON document, whatever was sent.
func (x *target) logHoldsLines(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(x.g.Log()) {
		var doc map[string]any
		if err := json.Unmarshal([]byte(line), &doc); err != nil || doc["level"] == "fake" {
			t.Errorf("not one line of JSON: %q", line)
		}
	}
}

// TestHostileTokens is security reference §5.7, sessions: only the token as it was issued
// opens a call; every other gets 401 with one and the same body.
func TestHostileTokens(t *testing.T) {
	t.Parallel()
	x := hostileTarget(t)
	parts := strings.Split(x.visit, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	enc := base64.RawURLEncoding
	head, err1 := enc.DecodeString(parts[0])
	claims, err2 := enc.DecodeString(parts[1])
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	alg := func(s string) string {
		return enc.EncodeToString([]byte(strings.Replace(string(head), `"EdDSA"`, s, 1)))
	}
	added := func(s string) string {
		return enc.EncodeToString([]byte(strings.Replace(string(head), "{", "{"+s+",", 1)))
	}
	claim := func(old, now string) string {
		return enc.EncodeToString([]byte(strings.Replace(string(claims), old, now, 1)))
	}
	call := func(token string) (int, string) {
		r := x.g.Do("POST", "/shop/api/payments/v1/payment_intents", `{"amount":1900}`, map[string]string{"Origin": origin, "Authorization": "Bearer " + token, "Content-Type": "application/json"})
		var doc map[string]any
		_ = json.Unmarshal([]byte(r.Body), &doc)
		delete(doc, "request_id")
		return r.Status, fmt.Sprint(doc)
	}
	if status, body := call(x.visit); status != 200 {
		t.Fatalf("the token itself: %d %s", status, body)
	}
	_, same := call("nonsense")
	for name, token := range map[string]string{
		"alg none": alg(`"none"`) + "." + parts[1] + ".", "alg None, signed": alg(`"None"`) + "." + parts[1] + "." + parts[2],
		"alg HS256": alg(`"HS256"`) + "." + parts[1] + "." + parts[2], "no signature": parts[0] + "." + parts[1] + ".",
		"no signature part": parts[0] + "." + parts[1], "four parts": x.visit + "." + parts[2], "nested": enc.EncodeToString([]byte(x.visit)),
		"jwk": added(`"jwk":{"kty":"OKP"}`) + "." + parts[1] + "." + parts[2], "jku": added(`"jku":"http://127.0.0.1:1/"`) + "." + parts[1] + "." + parts[2],
		"crit": added(`"crit":["x"],"x":1`) + "." + parts[1] + "." + parts[2], "b64": added(`"b64":false`) + "." + parts[1] + "." + parts[2],
		"kid traversal": added(`"kid":"../../../../dev/null"`) + "." + parts[1] + "." + parts[2], "twin alg": added(`"alg":"none"`) + "." + parts[1] + "." + parts[2],
		"other site": parts[0] + "." + claim("shop", "blog") + "." + parts[2], "changed claims": parts[0] + "." + claim("{", `{"x":1,`) + "." + parts[2],
		"padding": x.visit + "=", "std base64": strings.NewReplacer("-", "+", "_", "/").Replace(x.visit) + "==", "10 kB": strings.Repeat("a", 10<<10),
		"two signatures": parts[0] + "." + parts[1] + "." + parts[2] + parts[2], "cut": x.visit[:len(x.visit)-4],
	} {
		if token == x.visit {
			t.Fatalf("%s changed nothing", name)
		}
		if status, body := call(token); status != 401 || body != same {
			t.Errorf("%s: %d %s; want 401 %s", name, status, body, same)
		}
	}
	if n := len(x.up.Requests()); n != 1 {
		t.Errorf("%d calls were made", n)
	}
}
