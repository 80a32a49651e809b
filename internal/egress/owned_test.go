package egress_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/egress/egresstest"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

func TestMemoryOwnedConforms(t *testing.T) {
	egresstest.OwnedStore(t, func(*testing.T) egress.OwnedStore { return &ownedRows{} })
}

// ownedRows is egress.OwnedStore in memory, which counts how often it is asked.
type ownedRows struct {
	mu    sync.Mutex
	rows  []ownedRow
	finds int
	saves int
	fail  error
}

type ownedRow struct {
	site          string
	visit, object egress.OwnedHash
	expires       time.Time
}

func (o *ownedRows) RememberOwned(_ context.Context, row egress.OwnedRow, perVisit int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.saves++
	if o.fail != nil {
		return o.fail
	}
next:
	for _, h := range row.Objects {
		for i := range o.rows {
			if o.rows[i].site == row.Site && o.rows[i].object == h {
				if row.Expires.After(o.rows[i].expires) {
					o.rows[i].expires = row.Expires
				}
				continue next
			}
		}
		o.rows = append(o.rows, ownedRow{row.Site, row.Visit, h, row.Expires})
	}
	kept := 0
	for i := len(o.rows) - 1; i >= 0; i-- {
		if o.rows[i].site != row.Site || o.rows[i].visit != row.Visit {
			continue
		}
		if kept++; kept > perVisit {
			o.rows = slices.Delete(o.rows, i, i+1)
		}
	}
	return nil
}

func (o *ownedRows) FindOwned(_ context.Context, site string, h egress.OwnedHash, now time.Time) (time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finds++
	for _, r := range o.rows {
		if r.site == site && r.object == h && now.Before(r.expires) {
			return r.expires, o.fail
		}
	}
	return time.Time{}, o.fail
}

func (o *ownedRows) PurgeOwned(_ context.Context, now time.Time, perSite int) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	had := len(o.rows)
	o.rows = slices.DeleteFunc(o.rows, func(r ownedRow) bool { return !now.Before(r.expires) })
	kept := map[string]int{}
	for i := len(o.rows) - 1; i >= 0; i-- {
		if kept[o.rows[i].site]++; kept[o.rows[i].site] > perSite {
			o.rows = slices.Delete(o.rows, i, i+1)
		}
	}
	return had - len(o.rows), nil
}

func testHash(site string, message []byte) ([32]byte, error) {
	return sha256.Sum256(append([]byte("key of "+site+"\x00"), message...)), nil
}

// ownedShop is a connection to Stripe whose visits may name the intents that they made.
func ownedShop(t *testing.T, name string) *site.Connection {
	return &site.Connection{Name: name, Provider: "stripe", Mode: provider.Sandbox, BackendAll: true,
		Browser: map[string]*site.BrowserRule{
			"create-payment-intent": {Operation: "create-payment-intent", Free: paths(t, "description"), Owned: paths(t, "customer", "payment_method"),
				Fixed:   []site.Fixed{{Path: path(t, "currency"), Value: "eur"}, {Path: path(t, "amount"), Value: json.Number("500")}},
				Returns: paths(t, "id", "customer", "status")},
			"retrieve-payment-intent": {Operation: "retrieve-payment-intent", Owned: paths(t, "intent"), Returns: paths(t, "id", "status")},
			"list-payment-intents":    {Operation: "list-payment-intents", Owned: paths(t, "customer"), Returns: paths(t, "data[].id")},
			"create-customer":         {Operation: "create-customer", Free: paths(t, "description"), Returns: paths(t, "id")},
		}}
}

type ownedGate struct {
	*world
	rows *ownedRows
	now  time.Time
}

func openOwned(t *testing.T, conns ...*site.Connection) *ownedGate {
	t.Helper()
	w := open(t)
	o := &ownedGate{world: w, rows: &ownedRows{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	w.deps.Owned = egress.NewOwnedMemory(o.rows, testHash, func() time.Time { return o.now })
	w.build(conns...)
	return o
}

func (o *ownedGate) visit(t *testing.T, visit, connection, method, target, body string) *egress.Answer {
	t.Helper()
	c := call(connection, method, target, body, "Authorization", "Bearer "+visit)
	c.Origin = shopOrigin
	return o.Call(t.Context(), c)
}

const intentOfCustomer = `{"id":"pi_1","object":"payment_intent","status":"succeeded","customer":"cus_1","payment_method":"pm_1","amount":500,"currency":"eur"}`

// TestOwned: what a visit received it may name, and nobody else may; a refusal sends nothing.
func TestOwned(t *testing.T) {
	o := openOwned(t, ownedShop(t, "payments"), ownedShop(t, "other"))
	o.upstream.always(reply(200, intentOfCustomer), nil)
	passed(t, o.visit(t, "visit-1", "payments", "POST", intents, `{}`))
	passed(t, o.visit(t, "visit-1", "payments", "GET", intents+"/pi_1", ""))
	passed(t, o.visit(t, "visit-1", "payments", "POST", intents, `{"customer":"cus_1"}`))
	sent := o.upstream.count()
	for _, row := range []struct{ name, visit, connection, method, target, body string }{
		{"another visit", "visit-2", "payments", "GET", intents + "/pi_1", ""},
		{"another connection", "visit-1", "other", "GET", intents + "/pi_1", ""},
		{"a foreign id in the path", "visit-1", "payments", "GET", intents + "/pi_2", ""},
		{"percent-encoded", "visit-1", "payments", "GET", intents + "/%70i%5F2", ""},
		{"double-encoded", "visit-1", "payments", "GET", intents + "/pi%255F1", ""},
		{"in another case", "visit-1", "payments", "GET", intents + "/PI_1", ""},
		{"with a space", "visit-1", "payments", "GET", intents + "/pi_1%20", ""},
		{"in the query", "visit-1", "payments", "GET", intents + "?customer=cus_2", ""},
		{"in the body", "visit-1", "payments", "POST", intents, `{"customer":"cus_2"}`},
		{"escaped in the body", "visit-1", "payments", "POST", intents, `{"customer":"cus\u005f2"}`},
		{"as an array", "visit-1", "payments", "POST", intents, `{"customer":["cus_1","cus_2"]}`},
		{"as an object", "visit-1", "payments", "POST", intents, `{"customer":{"id":"cus_1"}}`},
		{"as nothing", "visit-1", "payments", "POST", intents, `{"customer":null}`},
		{"of another kind", "visit-1", "payments", "POST", intents, `{"customer":"pi_1"}`},
		{"in the answer but not returned", "visit-1", "payments", "POST", intents, `{"payment_method":"pm_1"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(o.audit.refusals)
			a := o.visit(t, row.visit, row.connection, row.method, row.target, row.body)
			if a.Problem == nil || a.Problem.Code != problem.NotOwned && a.Problem.Code != problem.ParameterRefused {
				t.Fatalf("%d %s %+v; want a refusal", a.Status, a.Body, a.Problem)
			}
			if o.upstream.count() != sent {
				t.Error("the call was sent")
			}
			if n := len(o.audit.refusals) - before; n != 1 || o.audit.refusals[before].Code != a.Problem.Code {
				t.Errorf("%d audit entries; want 1 of %s", n, a.Problem.Code)
			}
			for _, id := range []string{"pi_1", "pi_2", "cus_1", "cus_2"} {
				if strings.Contains(fmt.Sprintf("%+v %v", a.Problem, a.Problem), id) {
					t.Errorf("the refusal shows the id: %+v", a.Problem)
				}
			}
		})
	}
	t.Run("what exists and what does not look alike", func(t *testing.T) {
		exists := o.visit(t, "visit-2", "payments", "GET", intents+"/pi_1", "").Problem
		invented := o.visit(t, "visit-2", "payments", "GET", intents+"/pi_nothing", "").Problem
		if exists.Detail != invented.Detail || exists.Hint != invented.Hint || exists.Code != invented.Code || exists.Status() != 403 {
			t.Errorf("%+v\n%+v", exists, invented)
		}
	})
	t.Run("a form and JSON are one", func(t *testing.T) {
		c := call("payments", "POST", intents, url.Values{"customer": {"cus_2"}}.Encode(), "Authorization", "Bearer visit-1", "Content-Type", "application/x-www-form-urlencoded")
		c.Origin = shopOrigin
		refused(t, o.Call(t.Context(), c), problem.NotOwned)
	})
	t.Run("a backend is not asked", func(t *testing.T) {
		passed(t, o.Call(t.Context(), o.backend("payments", "GET", intents+"/pi_2", "")))
	})
}

// TestOwnedEchoGivesNothing: a value that the browser wrote itself is not received, whatever
// field of the answer repeats it.
func TestOwnedEchoGivesNothing(t *testing.T) {
	o := openOwned(t, ownedShop(t, "payments"))
	o.upstream.always(reply(200, `{"id":"cus_victim","object":"customer"}`), nil)
	passed(t, o.visit(t, "visit-1", "payments", "POST", "/v1/customers", `{"description":"cus_victim"}`))
	refused(t, o.visit(t, "visit-1", "payments", "GET", intents+"?customer=cus_victim", ""), problem.NotOwned)
	if o.rows.saves != 0 {
		t.Error("the echo was stored")
	}
}

// TestOwnedEnds: the memory ends, with the account too, and a store that fails refuses.
func TestOwnedEnds(t *testing.T) {
	o := openOwned(t, ownedShop(t, "payments"))
	passed(t, o.visit(t, "visit-1", "payments", "POST", intents, `{}`))
	o.now = o.now.Add(egress.OwnedFor - time.Second)
	passed(t, o.visit(t, "visit-1", "payments", "GET", intents+"/pi_1", ""))
	o.now = o.now.Add(time.Second)
	refused(t, o.visit(t, "visit-1", "payments", "GET", intents+"/pi_1", ""), problem.NotOwned)

	passed(t, o.visit(t, "visit-1", "payments", "POST", intents, `{}`))
	for what, change := range map[string]func(*site.Connection){
		"mode":     func(c *site.Connection) { c.Mode = provider.Live },
		"account":  func(c *site.Connection) { c.Account = map[string]string{"account_sid": "AC2"} },
		"upstream": func(c *site.Connection) { c.Upstream = &site.Upstream{URL: "https://127.0.0.1:1"} },
	} {
		c := ownedShop(t, "payments")
		change(c)
		o.build(c)
		if a := o.visit(t, "visit-1", "payments", "GET", intents+"/pi_1", ""); a.Problem == nil || a.Problem.Code != problem.NotOwned {
			t.Errorf("another %s: %+v", what, a.Problem)
		}
	}
	o.build(ownedShop(t, "payments"))
	passed(t, o.visit(t, "visit-1", "payments", "GET", intents+"/pi_1", ""))

	o.rows.fail = errors.New("disk full")
	sent := o.upstream.count()
	refused(t, o.visit(t, "visit-1", "payments", "GET", intents+"/pi_9", ""), problem.StoreUnavailable)
	if o.upstream.count() != sent {
		t.Error("the call was sent without knowing")
	}
	a := o.visit(t, "visit-3", "payments", "POST", intents, `{}`) // performed, so its answer is not withheld
	passed(t, a)
	if o.records.last().InnerError == nil {
		t.Error("the failure of the store is not in the record")
	}
	o.rows.fail = nil
	refused(t, o.visit(t, "visit-3", "payments", "GET", intents+"/pi_1", ""), problem.NotOwned)
}

// TestOwnedCosts: a check of what this process knows reads nothing, asking again writes
// nothing, and connections without such rules pay nothing.
func TestOwnedCosts(t *testing.T) {
	o := openOwned(t, ownedShop(t, "payments"), payments(t))
	plain := payments(t)
	plain.Name = "plain"
	o.build(ownedShop(t, "payments"), plain)
	passed(t, o.visit(t, "visit-1", "payments", "POST", intents, `{}`))
	for range 20 {
		passed(t, o.visit(t, "visit-1", "payments", "GET", intents+"/pi_1", ""))
	}
	if o.rows.saves != 1 || o.rows.finds != 0 {
		t.Errorf("%d writes, %d reads; want 1 and 0", o.rows.saves, o.rows.finds)
	}
	passed(t, o.visit(t, "visit-1", "plain", "POST", intents, `{"amount":1900}`))
	if o.rows.saves != 1 {
		t.Error("a connection without owned ids wrote")
	}
	// Another process, with the same store.
	o.deps.Owned = egress.NewOwnedMemory(o.rows, testHash, func() time.Time { return o.now })
	o.build(ownedShop(t, "payments"))
	for range 3 {
		passed(t, o.visit(t, "visit-1", "payments", "GET", intents+"/pi_1", ""))
	}
	if o.rows.finds != 1 {
		t.Errorf("%d reads; want 1", o.rows.finds)
	}
}

// TestOwnedListsAreBounded: of a long list the first objects are kept, and the store never
// sees an id.
func TestOwnedListsAreBounded(t *testing.T) {
	o := openOwned(t, ownedShop(t, "payments"))
	o.upstream.always(reply(200, `{"id":"cus_1","object":"customer"}`), nil)
	passed(t, o.visit(t, "visit-1", "payments", "POST", "/v1/customers", `{}`))
	var data []string
	for i := range 150 {
		data = append(data, fmt.Sprintf(`{"id":"pi_%d","object":"payment_intent"}`, i))
	}
	o.upstream.always(reply(200, `{"object":"list","has_more":false,"url":"/v1/payment_intents","data":[`+strings.Join(data, ",")+`]}`), nil)
	passed(t, o.visit(t, "visit-1", "payments", "GET", intents+"?customer=cus_1", ""))
	o.upstream.always(reply(200, intentOK), nil)
	passed(t, o.visit(t, "visit-1", "payments", "GET", intents+"/pi_99", ""))
	refused(t, o.visit(t, "visit-1", "payments", "GET", intents+"/pi_100", ""), problem.NotOwned)
	if n := len(o.rows.rows); n != 101 {
		t.Errorf("%d rows; want 101", n)
	}
}

// TestOwnedNumber: a verification is checked only for the number that this visit had a code
// sent to.
func TestOwnedNumber(t *testing.T) {
	sms := &site.Connection{Name: "sms", Provider: "twilio", Mode: provider.Sandbox, Account: map[string]string{"account_sid": "AC" + strings.Repeat("0", 32)},
		Browser: map[string]*site.BrowserRule{
			"create-verification": {Operation: "create-verification", Free: paths(t, "To"), Returns: paths(t, "status"),
				Fixed: []site.Fixed{{Path: path(t, "ServiceSid"), Value: "VA" + strings.Repeat("1", 32)}, {Path: path(t, "Channel"), Value: "sms"}}},
			"check-verification": {Operation: "check-verification", Free: paths(t, "Code"), Owned: paths(t, "To"), Returns: paths(t, "status"),
				Fixed: []site.Fixed{{Path: path(t, "ServiceSid"), Value: "VA" + strings.Repeat("1", 32)}}},
		}}
	o := openOwned(t, sms)
	o.upstream.always(&egress.Response{Status: 201, Header: reply(201, "").Header, Attempts: 1,
		Body: []byte(`{"sid":"VE` + strings.Repeat("2", 32) + `","status":"pending","to":"+447700900123"}`)}, nil)
	send := func(visit, number string) *egress.Answer {
		return o.visit(t, visit, "sms", "POST", "/v2/Services/_/Verifications", `{"To":"`+number+`"}`)
	}
	check := func(visit, number string) *egress.Answer {
		return o.visit(t, visit, "sms", "POST", "/v2/Services/_/VerificationCheck", `{"To":"`+number+`","Code":"123456"}`)
	}
	if a := send("visit-1", "+447700900123"); a.Problem != nil {
		t.Fatalf("%+v", a.Problem)
	}
	if a := check("visit-1", "+447700900123"); a.Problem != nil {
		t.Fatalf("%+v", a.Problem)
	}
	sent := o.upstream.count()
	refused(t, check("visit-1", "+447700900124"), problem.NotOwned)
	refused(t, check("visit-2", "+447700900123"), problem.NotOwned)
	if o.upstream.count() != sent {
		t.Error("a check was sent")
	}
	o.upstream.always(reply(400, `{"code":60200,"message":"invalid"}`), nil)
	send("visit-3", "+447700900125")
	refused(t, check("visit-3", "+447700900125"), problem.NotOwned) // no code was sent
}

// TestOwnedNeedsAKind: a rule that names what no kind tells apart is no rule.
func TestOwnedNeedsAKind(t *testing.T) {
	w := open(t)
	c := ownedShop(t, "payments")
	if _, err := egress.New([]*site.Site{{Name: "shop", Connections: map[string]*site.Connection{"payments": c}}}, catalog, w.deps); err == nil {
		t.Error("owned ids without a memory")
	}
	w.deps.Owned = egress.NewOwnedMemory(&ownedRows{}, testHash, time.Now)
	c.Browser["create-payment-intent"].Owned = paths(t, "description")
	if _, err := egress.New([]*site.Site{{Name: "shop", Connections: map[string]*site.Connection{"payments": c}}}, catalog, w.deps); err == nil || !strings.Contains(err.Error(), "kind") {
		t.Errorf("%v; want that there is no kind", err)
	}
}

// TestOwnedTogether: many calls at once, for the race detector.
func TestOwnedTogether(t *testing.T) {
	m := egress.NewOwnedMemory(&ownedRows{}, testHash, time.Now)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			by := egress.Visitor{Site: "shop", Connection: "payments", Visit: fmt.Sprint("visit-", n%4)}
			for i := range 50 {
				o := contract.Identity{Kind: "order", ID: fmt.Sprint(i)}
				if err := m.Remember(t.Context(), by, []contract.Identity{o}); err != nil {
					t.Error(err)
				}
				if owns, err := m.Owns(t.Context(), by, o); err != nil || !owns {
					t.Errorf("%v, %v", owns, err)
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkOwned is the check of one id that this process has seen.
func BenchmarkOwned(b *testing.B) {
	m := egress.NewOwnedMemory(&ownedRows{}, testHash, time.Now)
	by := egress.Visitor{Site: "shop", Connection: "payments", Mode: "live", Account: "stripe", Visit: "visit-1"}
	o := contract.Identity{Kind: "payment-intent", ID: "pi_3MtwBwLkdIwHu7ix28a3tqPa"}
	if err := m.Remember(b.Context(), by, []contract.Identity{o}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if owns, err := m.Owns(b.Context(), by, o); err != nil || !owns {
			b.Fatal(owns, err)
		}
	}
}
