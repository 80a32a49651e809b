package bodies

import (
	"net/url"
	"strconv"
	"strings"
)

// Forms gives n bodies that create a PaymentIntent, as Stripe's clients write them, the
// pairs in shuffled order.
func Forms(n int) ([][]byte, error) {
	m, err := newMaker()
	if err != nil {
		return nil, err
	}
	out := make([][]byte, n)
	for i := range out {
		out[i] = []byte(m.form())
	}
	return out, nil
}

func (m *maker) form() string {
	pairs := []string{}
	add := func(name, value string) {
		pairs = append(pairs, strings.NewReplacer("%5B", "[", "%5D", "]").Replace(url.QueryEscape(name))+"="+url.QueryEscape(value))
	}
	add("amount", strconv.Itoa(100+m.IntN(1e6)))
	add("currency", m.pick("usd", "eur", "gbp", "chf"))
	add("receipt_email", m.id("", 8)+"@example.com")
	add("description", m.pick("Order at the shop", "Bestellung über 3 Stück Käse", "漢字の注文"))
	add("metadata[order]", strconv.Itoa(m.IntN(1e6)))
	if m.chance(2) {
		add("automatic_payment_methods[enabled]", "true")
		add("automatic_payment_methods[allow_redirects]", m.pick("always", "never"))
	} else {
		add("payment_method_types[0]", "card")
		add("payment_method_types[1]", m.pick("link", "ideal", "sepa_debit"))
	}
	if m.chance(2) {
		add("customer", m.id("cus_", 14))
		add("setup_future_usage", m.pick("on_session", "off_session"))
	}
	if m.chance(2) {
		add("shipping[name]", m.pick("Ada", "Grace Hopper"))
		add("shipping[address][line1]", "Ring "+strconv.Itoa(m.IntN(90)))
		add("shipping[address][city]", "Wien")
		add("shipping[address][country]", "AT")
		add("shipping[address][postal_code]", strconv.Itoa(1010+10*m.IntN(20)))
	}
	if m.chance(3) {
		add("payment_method_options[card][request_three_d_secure]", m.pick("any", "automatic"))
	}
	if m.chance(3) {
		add("metadata["+m.id("k", 5)+"]", m.id("", 12))
	}
	if m.chance(3) {
		add("expand[0]", m.pick("customer", "payment_method"))
	}
	// The elements of one list keep their order.
	lists := map[string]bool{"payment_method_types[0]": true, "payment_method_types[1]": true}
	m.Shuffle(len(pairs), func(i, j int) {
		a, _, _ := strings.Cut(pairs[i], "=")
		b, _, _ := strings.Cut(pairs[j], "=")
		if !lists[a] && !lists[b] {
			pairs[i], pairs[j] = pairs[j], pairs[i]
		}
	})
	return strings.Join(pairs, "&")
}
