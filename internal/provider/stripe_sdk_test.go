package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-mock/server"

	"sallyport/internal/contract"
	"sallyport/internal/provider"
)

// throughContract answers an SDK's request as the gate would: route, parse, check,
// encode anew, ask Stripe's mock, check the answer, and hand back what is left of it.
type throughContract struct {
	doc  *contract.Document
	stub *server.StubServer
	seen map[string]bool
}

func (g *throughContract) RoundTrip(r *http.Request) (*http.Response, error) {
	op, allowed := g.doc.Route(r.Method, r.URL.EscapedPath())
	if op == nil {
		return nil, fmt.Errorf("no operation for %s %s (allowed: %v)", r.Method, r.URL.Path, allowed)
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	args, faults, err := op.Parse(contract.Input{Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, ContentType: r.Header.Get("Content-Type"), Body: body})
	if err != nil || len(faults) > 0 {
		return nil, fmt.Errorf("%s: parse %s?%s %s: %v %+v", op.ID, r.URL.Path, r.URL.RawQuery, body, err, faults)
	}
	if faults = op.Check(args); len(faults) > 0 {
		return nil, fmt.Errorf("%s: check %s: %+v", op.ID, body, faults)
	}
	out, err := op.Encode(args, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: encode: %w", op.ID, err)
	}
	g.seen[op.ID] = true
	return g.ask(op, out)
}

func (g *throughContract) ask(op *contract.Operation, out contract.Output) (*http.Response, error) {
	target := out.Path
	if out.RawQuery != "" {
		target += "?" + out.RawQuery
	}
	r := httptest.NewRequest(op.Method, target, strings.NewReader(string(out.Body)))
	r.Header.Set("Authorization", "Bearer sk_test_123")
	r.Header.Set("Content-Type", out.ContentType)
	w := httptest.NewRecorder()
	g.stub.HandleRequest(w, r)
	reply, faults, err := op.CheckResponse(w.Code, w.Header().Get("Content-Type"), w.Body.Bytes(), nil)
	if err != nil || len(faults) > 0 {
		return nil, fmt.Errorf("%s: answer: %v %+v", op.ID, err, faults)
	}
	answer := w.Result()
	answer.Body = io.NopCloser(strings.NewReader(string(reply.Body)))
	answer.ContentLength = int64(len(reply.Body))
	return answer, nil
}

// TestOfficialSDKWorksThroughTheContract drives the unmodified SDK: its requests pass
// the contract, and it understands what the contract leaves of the answers.
func TestOfficialSDKWorksThroughTheContract(t *testing.T) {
	pack, err := provider.Builtin().Find("stripe")
	if err != nil {
		t.Fatal(err)
	}
	gate := &throughContract{doc: pack.Contract(), stub: newStub(t), seen: make(map[string]bool)}
	sc := stripe.NewClient("sk_test_123", stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		HTTPClient: &http.Client{Transport: gate}, MaxNetworkRetries: stripe.Int64(0), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})))
	ctx := context.Background()
	t.Run("payment intents", func(t *testing.T) { sdkPaymentIntents(ctx, t, sc) })
	t.Run("refunds", func(t *testing.T) { sdkRefunds(ctx, t, sc) })
	t.Run("customers and checkout", func(t *testing.T) { sdkCustomers(ctx, t, sc) })
	t.Run("subscriptions", func(t *testing.T) { sdkSubscriptions(ctx, t, sc) })
	if len(gate.seen) < 18 {
		t.Errorf("only %d operations were used: %v", len(gate.seen), sorted(gate.seen))
	}
}

func sdkPaymentIntents(ctx context.Context, t *testing.T, sc *stripe.Client) {
	create := &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(1999), Currency: stripe.String("eur"), ReceiptEmail: stripe.String("jo@shop.example"),
		AutomaticPaymentMethods: &stripe.PaymentIntentCreateAutomaticPaymentMethodsParams{Enabled: stripe.Bool(true)},
		Shipping:                &stripe.ShippingDetailsParams{Name: stripe.String("Jo"), Address: &stripe.AddressParams{Line1: stripe.String("Weg 1"), Country: stripe.String("DE")}},
	}
	create.AddMetadata("order", "6735")
	create.AddExpand("customer")
	intent, err := sc.V1PaymentIntents.Create(ctx, create)
	if err != nil {
		t.Fatal(err)
	}
	if intent.ID == "" || intent.Amount != 1999 || intent.ClientSecret == "" || intent.Created == 0 || intent.Status == "" {
		t.Errorf("intent: %+v", intent)
	}
	got, err := sc.V1PaymentIntents.Retrieve(ctx, "pi_123", nil)
	check(t, err, func() bool { return got.ID != "" && got.Object == "payment_intent" })
	got, err = sc.V1PaymentIntents.Update(ctx, "pi_123", &stripe.PaymentIntentUpdateParams{Amount: stripe.Int64(5)})
	check(t, err, func() bool { return got.ID != "" })
	got, err = sc.V1PaymentIntents.Confirm(ctx, "pi_123", &stripe.PaymentIntentConfirmParams{
		PaymentMethod: stripe.String("pm_card_visa"), ReturnURL: stripe.String("https://shop.example/done")})
	check(t, err, func() bool { return got.ID != "" })
	got, err = sc.V1PaymentIntents.Capture(ctx, "pi_123", nil)
	check(t, err, func() bool { return got.ID != "" })
	got, err = sc.V1PaymentIntents.Cancel(ctx, "pi_123", nil)
	check(t, err, func() bool { return got.ID != "" })
	list := &stripe.PaymentIntentListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: 1700000000}}
	list.Limit = stripe.Int64(3)
	list.AddExpand("data.customer")
	check(t, each(sc.V1PaymentIntents.List(ctx, list).All(ctx)), nil)
}

func sdkRefunds(ctx context.Context, t *testing.T, sc *stripe.Client) {
	refund, err := sc.V1Refunds.Create(ctx, &stripe.RefundCreateParams{PaymentIntent: stripe.String("pi_123"), Amount: stripe.Int64(100)})
	check(t, err, func() bool { return refund.ID != "" && refund.Amount == 100 && refund.Currency != "" })
	refund, err = sc.V1Refunds.Retrieve(ctx, "re_123", nil)
	check(t, err, func() bool { return refund.Status != "" })
	check(t, each(sc.V1Refunds.List(ctx, &stripe.RefundListParams{PaymentIntent: stripe.String("pi_123")}).All(ctx)), nil)
}

func sdkCustomers(ctx context.Context, t *testing.T, sc *stripe.Client) {
	customer, err := sc.V1Customers.Create(ctx, &stripe.CustomerCreateParams{Email: stripe.String("jo@shop.example"), Name: stripe.String("Jo")})
	check(t, err, func() bool { return customer.ID != "" && customer.Email == "jo@shop.example" })
	customer, err = sc.V1Customers.Retrieve(ctx, "cus_123", nil)
	check(t, err, func() bool { return customer.ID != "" && customer.Created != 0 })
	customer, err = sc.V1Customers.Update(ctx, "cus_123", &stripe.CustomerUpdateParams{Phone: stripe.String("+4930123")})
	check(t, err, func() bool { return customer.ID != "" })
	session, err := sc.V1CheckoutSessions.Create(ctx, &stripe.CheckoutSessionCreateParams{
		Mode: stripe.String("payment"), SuccessURL: stripe.String("https://shop.example/ok"),
		LineItems: []*stripe.CheckoutSessionCreateLineItemParams{{Price: stripe.String("price_123"), Quantity: stripe.Int64(1)}}})
	check(t, err, func() bool { return session.ID != "" && session.Object == "checkout.session" })
	session, err = sc.V1CheckoutSessions.Retrieve(ctx, "cs_test_123", nil)
	check(t, err, func() bool { return session.ID != "" })
	session, err = sc.V1CheckoutSessions.Expire(ctx, "cs_test_123", nil)
	check(t, err, func() bool { return session.ID != "" })
	setup, err := sc.V1SetupIntents.Create(ctx, &stripe.SetupIntentCreateParams{Customer: stripe.String("cus_123")})
	check(t, err, func() bool { return setup.ClientSecret != "" })
	portal, err := sc.V1BillingPortalSessions.Create(ctx, &stripe.BillingPortalSessionCreateParams{Customer: stripe.String("cus_123")})
	check(t, err, func() bool { return portal.URL != "" })
}

func sdkSubscriptions(ctx context.Context, t *testing.T, sc *stripe.Client) {
	sub, err := sc.V1Subscriptions.Create(ctx, &stripe.SubscriptionCreateParams{Customer: stripe.String("cus_123"),
		Items: []*stripe.SubscriptionCreateItemParams{{Price: stripe.String("price_123"), Quantity: stripe.Int64(2)}}})
	check(t, err, func() bool { return sub.ID != "" && sub.Status != "" && len(sub.Items.Data) > 0 })
	sub, err = sc.V1Subscriptions.Cancel(ctx, "sub_123", &stripe.SubscriptionCancelParams{Prorate: stripe.Bool(true)})
	check(t, err, func() bool { return sub.ID != "" })
	check(t, each(sc.V1Prices.List(ctx, &stripe.PriceListParams{Active: stripe.Bool(true)}).All(ctx)), nil)
	check(t, each(sc.V1Products.List(ctx, &stripe.ProductListParams{Active: stripe.Bool(true)}).All(ctx)), nil)
	check(t, each(sc.V1PaymentMethods.List(ctx, &stripe.PaymentMethodListParams{Customer: stripe.String("cus_123")}).All(ctx)), nil)
}

func check(t *testing.T, err error, ok func() bool) {
	t.Helper()
	if err != nil {
		t.Error(err)
	} else if ok != nil && !ok() {
		t.Error("the SDK's object lacks a field")
	}
}

// each walks a list; an empty one is an error too.
func each[T any](all stripe.Seq2[T, error]) error {
	n := 0
	for x, err := range all {
		if err != nil {
			return err
		}
		if data, err := json.Marshal(x); err != nil || !strings.Contains(string(data), `"id"`) {
			return fmt.Errorf("element %d has no id: %s %v", n, data, err)
		}
		n++
	}
	if n == 0 {
		return fmt.Errorf("the list is empty")
	}
	return nil
}
