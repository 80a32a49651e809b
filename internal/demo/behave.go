package demo

import (
	"math"
	"net/url"
	"strings"
	"sync"
	"time"
)

// confirmed pays: Stripe's test card pm_card_visa always succeeds.
func confirmed(answer map[string]any, fields url.Values) {
	if fields.Get("confirm") == "true" && fields.Get("payment_method") == "pm_card_visa" {
		answer["status"], answer["amount_received"] = "succeeded", answer["amount"]
		answer["payment_method"], answer["latest_charge"] = "pm_1DemoVisaCardTestOnly42", "ch_3DemoChargeForOneBowl042"
	}
}

// place is one address that the map's mock knows.
type place struct {
	words, address, id string
	lat, lng           float64
}

// places are towns of potters.
func places() []place {
	return []place{
		{"whitstable harbour street 8", "8 Harbour Street, Whitstable CT5 1AG, UK", "ChIJm7Qk2VhR3kcRt0hX9dLw1aE", 51.36156, 1.02676},
		{"delft oude markt", "Markt 12, 2611 GP Delft, Netherlands", "ChIJt4WQ0bO1xUcR1Jm2hQ8w9Zk", 52.01167, 4.35939},
		{"kiel holtenauer", "Holtenauer Straße 40, 24105 Kiel, Germany", "ChIJv2c8ZVVWskcRkIu7fQm0B4s", 54.33213, 10.12989},
		{"faenza corso mazzini", "Corso Giuseppe Mazzini 54, 48018 Faenza RA, Italy", "ChIJ0wJ3o1FKKxMRmS4gGmVxk7c", 44.28641, 11.88321},
		{"porto rua das flores", "Rua das Flores 114, 4050-265 Porto, Portugal", "ChIJwVPhxKtlJA0RkH5V1J1dQzM", 41.14284, -8.61418},
		{"kyoto gojozaka", "Gojozaka, Higashiyama Ward, Kyoto 605-0846, Japan", "ChIJ8cM8zdaoAWARPR27azYdlsA", 34.99478, 135.77842},
	}
}

// located finds the place that shares most words with what was asked, or none.
func located(answer map[string]any, fields url.Values) {
	asked := strings.FieldsFunc(strings.ToLower(fields.Get("address")), func(r rune) bool { return r == ' ' || r == ',' })
	best, most := place{}, 0
	for _, p := range places() {
		hits := 0
		for _, word := range asked {
			if len(word) > 2 && strings.Contains(strings.ToLower(p.words+" "+p.address), word) {
				hits++
			}
		}
		if hits > most {
			best, most = p, hits
		}
	}
	results, _ := answer["results"].([]any)
	if most == 0 || len(results) == 0 {
		answer["status"], answer["results"] = "ZERO_RESULTS", []any{}
		return
	}
	first, _ := results[0].(map[string]any)
	first["formatted_address"], first["place_id"] = best.address, best.id
	first["address_components"] = components(best.address)
	delete(first, "plus_code")
	delete(answer, "plus_code")
	first["geometry"] = map[string]any{"location_type": "ROOFTOP",
		"location": map[string]any{"lat": best.lat, "lng": best.lng},
		"viewport": map[string]any{
			"northeast": map[string]any{"lat": near(best.lat, 1), "lng": near(best.lng, 1)},
			"southwest": map[string]any{"lat": near(best.lat, -1), "lng": near(best.lng, -1)}}}
	answer["results"] = []any{first}
}

// near is a point beside another, to five decimals.
func near(degrees, side float64) float64 { return math.Round((degrees+side*0.00135)*1e5) / 1e5 }

func components(address string) []any {
	var out []any
	kinds := []string{"route", "postal_town", "country", "political"}
	for i, part := range strings.Split(address, ", ") {
		out = append(out, map[string]any{"long_name": part, "short_name": part, "types": []any{kinds[min(i, len(kinds)-1)]}})
	}
	return out
}

const maxPhones = 100

// phone is the visitor's telephone: it shows what the verification service sent. It is
// safe for concurrent use; the zero value is ready.
type phone struct {
	mu    sync.Mutex
	waits map[string]*code // by number
}

// code is a code on its way; the same verification answers for it until the end.
type code struct {
	digits, sid string
	tried       int
}

// ring sends a code to the number.
func (p *phone) ring(answer map[string]any, fields url.Values) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waits == nil || len(p.waits) >= maxPhones {
		p.waits = map[string]*code{}
	}
	sid, _ := answer["sid"].(string)
	p.waits[fields.Get("To")] = &code{digits: random("0123456789", 6), sid: sid}
	answer["account_sid"] = fields.Get(accountField)
}

// compare answers whether the code was right; five wrong ones end it, as at Twilio.
func (p *phone) compare(answer map[string]any, fields url.Values) {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer["valid"], answer["status"], answer["account_sid"] = false, "pending", fields.Get(accountField)
	c := p.waits[fields.Get("To")]
	if c == nil {
		return
	}
	c.tried++
	answer["sid"] = c.sid
	switch {
	case c.tried > maxTries:
		answer["status"] = "max_attempts_reached"
	case fields.Get("Code") == c.digits:
		answer["valid"], answer["status"] = true, "approved"
		delete(p.waits, fields.Get("To"))
	}
}

const maxTries = 5

// message is what the telephone of a number shows; empty: nothing came.
func (p *phone) message(to string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.waits[to]; c != nil {
		return "Your Harbour & Hill code is " + c.digits
	}
	return ""
}

const maxAnswers = 20

// answers are what visitors chose on the survey page, which is the poll provider's own
// and does not pass the gate. Safe for concurrent use.
type answers struct {
	mu   sync.Mutex
	kept []map[string]any // newest first
}

func (a *answers) add(choice, userAgent string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	entry := map[string]any{
		"_id": random(hex, 24), "createdAt": now.UTC().Format("2006-01-02T15:04:05.000Z"), "accountId": "64f0c2b19a7e5d0011ee77aa",
		"pollId": "6569f1a27c4d2e0012ab34cd", "slideId": "6569f1b87c4d2e0012ab34d1", "participantId": random(hex, 24),
		"orderValue": 48, "metadata": map[string]any{"email": "you@example.com", "order": "HH-1061"},
		"response": choice, "userAgent": userAgent, "valueType": "vote",
	}
	a.kept = append([]map[string]any{entry}, a.kept...)
	a.kept = a.kept[:min(len(a.kept), maxAnswers)]
}

// list puts the new answers before the mock's own, and keeps those of the slide asked for.
func (a *answers) list(answer map[string]any, fields url.Values) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []any
	for _, e := range a.kept {
		out = append(out, e)
	}
	old, _ := answer["data"].([]any)
	for _, e := range old {
		entry, _ := e.(map[string]any)
		if slide := fields.Get("slideId"); slide == "" || entry["slideId"] == slide {
			out = append(out, e)
		}
	}
	answer["data"] = out
}
