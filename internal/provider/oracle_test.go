package provider_test

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"

	"sallyport/internal/contract"
	"sallyport/internal/provider"
)

// oracleCalls are requests as websites make them, one per operation at least.
const oracleCalls = `{
 "create-payment-intent": [
  {"amount": 1999, "currency": "eur", "automatic_payment_methods": {"enabled": true, "allow_redirects": "never"}, "metadata": {"order": "6735"}, "receipt_email": "a@shop.example"},
  {"amount": 500, "currency": "usd", "payment_method_types": ["card", "link"], "confirm": true, "payment_method": "pm_card_visa", "capture_method": "manual", "setup_future_usage": "off_session",
   "return_url": "https://shop.example/done", "description": "Socks", "statement_descriptor_suffix": "SOCKS", "customer": "cus_123", "expand": ["customer", "latest_charge"],
   "shipping": {"name": "Jo", "phone": "+4930123", "address": {"line1": "Weg 1", "city": "Berlin", "postal_code": "10115", "country": "DE"}}}],
 "retrieve-payment-intent": [{"intent": "pi_123", "expand": ["payment_method"]}],
 "update-payment-intent": [{"intent": "pi_123", "amount": 2000, "metadata": {"a": "b"}}],
 "confirm-payment-intent": [{"intent": "pi_123", "payment_method": "pm_card_visa", "return_url": "https://shop.example/done"}],
 "capture-payment-intent": [{"intent": "pi_123", "amount_to_capture": 400}],
 "cancel-payment-intent": [{"intent": "pi_123", "cancellation_reason": "duplicate"}, {"intent": "pi_123"}],
 "list-payment-intents": [{}, {"limit": 3, "customer": "cus_123", "created": {"gte": 1700000000}, "expand": ["data.customer"]}],
 "create-checkout-session": [{"mode": "payment", "success_url": "https://shop.example/ok", "line_items": [{"price": "price_123", "quantity": 2},
   {"quantity": 1, "price_data": {"currency": "eur", "unit_amount": 500, "product_data": {"name": "Socks"}}}], "phone_number_collection": {"enabled": true}, "discounts": [{"coupon": "SUMMER"}]}],
 "retrieve-checkout-session": [{"session": "cs_test_123", "expand": ["line_items", "payment_intent"]}],
 "expire-checkout-session": [{"session": "cs_test_123"}],
 "create-customer": [{"email": "a@shop.example", "name": "Jo", "address": {"line1": "Weg 1", "country": "DE"}, "shipping": {"name": "Jo", "address": {"line1": "Weg 1"}}, "preferred_locales": ["de"]}, {}],
 "retrieve-customer": [{"customer": "cus_123"}],
 "update-customer": [{"customer": "cus_123", "phone": "+4930123", "invoice_settings": {"default_payment_method": "pm_123"}}],
 "create-setup-intent": [{"customer": "cus_123", "usage": "off_session", "automatic_payment_methods": {"enabled": true}}],
 "list-payment-methods": [{"customer": "cus_123", "type": "card"}],
 "create-refund": [{"payment_intent": "pi_123", "amount": 100, "reason": "requested_by_customer"}, {"charge": "ch_123"}],
 "list-refunds": [{"payment_intent": "pi_123"}],
 "retrieve-refund": [{"refund": "re_123", "expand": ["charge"]}],
 "list-prices": [{"active": true, "lookup_keys": ["a", "b"], "expand": ["data.product"]}],
 "list-products": [{"active": true, "ids": ["prod_1"], "limit": 100}],
 "create-billing-portal-session": [{"customer": "cus_123", "return_url": "https://shop.example/account"}],
 "create-subscription": [{"customer": "cus_123", "items": [{"price": "price_123", "quantity": 1}], "payment_behavior": "default_incomplete",
   "payment_settings": {"save_default_payment_method": "on_subscription"}, "expand": ["latest_invoice.confirmation_secret", "customer"]}],
 "cancel-subscription": [{"subscription_exposed_id": "sub_123"}]
}`

// TestProvidersOwnMockAgrees sends every operation, encoded by us, to Stripe's own mock,
// which checks it against Stripe's own description, and reads the mock's answer back
// through our contract: nothing in it may be a fault.
func TestProvidersOwnMockAgrees(t *testing.T) {
	pack, err := provider.Builtin().Find("stripe")
	if err != nil {
		t.Fatal(err)
	}
	stub := newStub(t)
	var calls map[string][]map[string]any
	d := json.NewDecoder(strings.NewReader(oracleCalls))
	d.UseNumber()
	if err := d.Decode(&calls); err != nil {
		t.Fatal(err)
	}
	for _, op := range pack.Contract().Operations() {
		t.Run(op.ID, func(t *testing.T) {
			if len(calls[op.ID]) == 0 {
				t.Fatal("no request for this operation; add one to oracleCalls")
			}
			for _, tree := range calls[op.ID] {
				askStub(t, stub, op, contract.NewArgs(tree))
			}
		})
	}
	t.Run("refusal", func(t *testing.T) {
		op, _ := pack.Contract().Find("create-payment-intent")
		readRefusal(t, stub, op)
	})
}

// newStub gives Stripe's mock; it takes long to build and keeps nothing between calls.
func newStub(t *testing.T) *server.StubServer {
	t.Helper()
	stub, err := buildStub()
	if err != nil {
		t.Fatal(err)
	}
	return stub
}

var buildStub = sync.OnceValues(func() (*server.StubServer, error) {
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		return nil, err
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		return nil, err
	}
	return server.NewStubServer(fixtures, spec, true, false)
})

func askStub(t *testing.T, stub *server.StubServer, op *contract.Operation, args contract.Args) {
	t.Helper()
	if faults := op.Check(args); len(faults) > 0 {
		t.Fatalf("our contract refuses the request: %+v", faults)
	}
	out, err := op.Encode(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	target := out.Path
	if out.RawQuery != "" {
		target += "?" + out.RawQuery
	}
	r := httptest.NewRequest(op.Method, target, strings.NewReader(string(out.Body)))
	r.Header.Set("Authorization", "Bearer sk_test_123")
	r.Header.Set("Stripe-Version", "2026-08-26.dahlia")
	if out.ContentType != "" {
		r.Header.Set("Content-Type", out.ContentType)
	}
	w := httptest.NewRecorder()
	stub.HandleRequest(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("the mock answers %d to %s %s %s: %s %v", w.Code, op.Method, target, out.Body, body, err)
	}
	reply, faults, err := op.CheckResponse(w.Code, w.Header().Get("Content-Type"), body, nil)
	if err != nil || len(faults) > 0 {
		t.Fatalf("our contract refuses the answer: %v %+v", err, faults)
	}
	if len(reply.Body) < 20 {
		t.Errorf("almost nothing is left of the answer: %s", reply.Body)
	}
}

// readRefusal reads a refusal of the mock through our error shape.
func readRefusal(t *testing.T, stub *server.StubServer, op *contract.Operation) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/v1/payment_intents", strings.NewReader("amount=5"))
	r.Header.Set("Authorization", "Bearer sk_test_123")
	r.Header.Set("Content-Type", contract.FormType)
	stub.HandleRequest(w, r)
	if w.Code != 400 {
		t.Fatalf("the mock answers %d: %s", w.Code, w.Body)
	}
	reply, faults, err := op.CheckResponse(w.Code, w.Header().Get("Content-Type"), w.Body.Bytes(), nil)
	if err != nil || len(faults) > 0 || !strings.Contains(string(reply.Body), "currency") {
		t.Errorf("refusal: %s %v %+v", reply.Body, err, faults)
	}
}
