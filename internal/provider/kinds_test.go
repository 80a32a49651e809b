package provider_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/contract"
	"sallyport/internal/provider"
)

// idName is what an id is called; words that end so and name no object are listed below.
var idName = regexp.MustCompile(`(^id|^ids|^_id|[_-]ids?|[a-z](Id|ID|Ids|Sid|SID)|uuid)$`)

// noObjects are fields with the name of an id that name no object at the provider, with the
// reason.
var noObjects = map[string]string{
	"paypal reference_id":            "the merchant's own name for a purchase unit",
	"paypal custom_id":               "the merchant's own number",
	"paypal invoice_id":              "the merchant's own number",
	"stripe client_reference_id":     "the site's own number",
	"google-maps previousResponseId": "feedback on an earlier answer; it shows and changes nothing",
	"vonage protocol-id":             "a field of the SMS protocol",
	"vonage entity-id":               "a registration number of the sender in India",
	"vonage content-id":              "a registration number of the text in India",
	"vonage entity_id":               "a registration number of the sender in India",
	"vonage content_id":              "a registration number of the text in India",
	"vonage template_id":             "a text of the account's own",
	"vonage workflow_id":             "one of seven orders of channels",
	"twilio CallerId":                "the number that the callee sees",
	"vonage sender_id":               "the name that the message shows",
	"google-signin client_id":        "the gate inserts it",
	"facebook-login client_id":       "the gate inserts it",
}

// givenNowhere are kinds of id that no answer of the catalog's operations gives, with where a
// site gets them from. Nobody can own one.
var givenNowhere = map[string]string{
	"stripe confirmation-token":  "the provider's script in the page",
	"stripe coupon":              "the dashboard",
	"stripe promotion-code":      "the dashboard",
	"paypal billing-agreement":   "an older API",
	"twilio content-template":    "the console",
	"twilio twiml-application":   "the console",
	"twilio verify-template":     "the console",
	"vonage application":         "the dashboard",
	"vonage transaction":         "any of the other ids, so that no kind fits",
	"google-maps photo":          "a name that holds the place as well",
	"twilio verification-number": "granted by sending a code to it",
}

// TestEveryIDHasAKind: a field that names an object says what kind of object it is, so that
// a browser rule can tell whether the visit received it; and an id that some answer gives is
// marked in that answer.
func TestEveryIDHasAKind(t *testing.T) {
	for _, pack := range builtin(t) {
		t.Run(pack.ID, func(t *testing.T) {
			given := map[string]bool{}
			for _, op := range pack.Contract().Operations() {
				in, err := op.Identities(nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, kind := range in.Kinds() {
					given[kind] = true
				}
			}
			for _, op := range pack.Contract().Operations() {
				for _, p := range op.Places(func(s *contract.Schema) bool { return s.ID || leaf(s) }) {
					checkParameter(t, pack, op, p)
					if p.ID && p.Kind != "" && !given[p.Kind] && givenNowhere[pack.ID+" "+p.Kind] == "" {
						t.Errorf("%s %s: no answer gives the id of a %s; mark the answer, or say in givenNowhere where a site gets it", op.ID, p.Path, p.Kind)
					}
				}
			}
		})
	}
}

func leaf(s *contract.Schema) bool {
	return len(s.Properties) == 0 && s.Items == nil && len(s.AllOf)+len(s.AnyOf)+len(s.OneOf) == 0
}

func checkParameter(t *testing.T, pack *provider.Pack, op *contract.Operation, p contract.Place) {
	t.Helper()
	steps := p.Path.Steps()
	name := steps[len(steps)-1].Name
	if name == "" && len(steps) > 1 {
		name = steps[len(steps)-2].Name
	}
	top, _ := op.Param(p.Path.Root())
	switch {
	case p.ID && p.Kind == "":
		t.Errorf("%s %s is an id of no kind", op.ID, p.Path)
	case !p.ID && leaf(p.Schema) && idName.MatchString(name) && top.Account == "" && noObjects[pack.ID+" "+name] == "" && !p.SelectsAccount:
		t.Errorf("%s %s has the name of an id and is not marked; mark it, or say in noObjects why it names nothing", op.ID, p.Path)
	}
}

// TestKindsHaveOnePrefix: where the provider's ids of a kind begin alike, they do so in every
// answer; two prefixes under one kind would be two kinds.
func TestKindsHaveOnePrefix(t *testing.T) {
	for _, pack := range builtin(t) {
		prefixes := map[string]string{}
		for _, op := range pack.Contract().Operations() {
			everySchema(op.Schema(op.SuccessStatus()), map[*contract.Schema]bool{}, func(s *contract.Schema) {
				if s.Kind == "" || s.Mock.Prefix == "" {
					return
				}
				if was, ok := prefixes[s.Kind]; ok && was != s.Mock.Prefix {
					t.Errorf("%s %s: the id of a %s begins with %q and with %q", pack.ID, op.ID, s.Kind, was, s.Mock.Prefix)
				}
				prefixes[s.Kind] = s.Mock.Prefix
			})
		}
	}
}

func everySchema(s *contract.Schema, seen map[*contract.Schema]bool, visit func(*contract.Schema)) {
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	visit(s)
	for _, name := range s.Order {
		everySchema(s.Properties[name], seen, visit)
	}
	for _, part := range slices.Concat([]*contract.Schema{s.Items, s.Additional}, s.AllOf, s.AnyOf, s.OneOf) {
		everySchema(part, seen, visit)
	}
}

// addressName is what an address is called.
var addressName = regexp.MustCompile(`(?i)(ur[il]s?|callback|webhook|redirect|endpoint|href|images?)$`)

// noTargets are fields that look like addresses and lead neither a visitor nor a call of the
// provider anywhere, with the reason.
var noTargets = map[string]string{
	"stripe line_items[].price_data.product_data.images[]": "pictures on the checkout page: nobody is sent there",
}

// TestEveryAddressIsMarked: a request field that looks like an address is marked, so that it
// must lie on the site's origins, or listed with a reason.
func TestEveryAddressIsMarked(t *testing.T) {
	marked := 0
	for _, pack := range builtin(t) {
		for _, op := range pack.Contract().Operations() {
			for _, p := range op.Places(leaf) {
				steps := p.Path.Steps()
				name := steps[len(steps)-1].Name
				if name == "" {
					name = steps[len(steps)-2].Name
				}
				looks := addressName.MatchString(name) || p.Format == "uri" || p.Format == "url" || strings.Contains(p.Pattern, "https?:")
				if p.Enum != nil || p.HasConst || len(p.Types) > 0 && !slices.Contains(p.Types, "string") {
					looks = false
				}
				if p.URL {
					marked++
				}
				if looks && !p.URL && noTargets[fmt.Sprintf("%s %s", pack.ID, p.Path)] == "" {
					t.Errorf("%s %s: %s looks like an address; mark it with url, or say in noTargets why it leads nowhere", pack.ID, op.ID, p.Path)
				}
			}
		}
	}
	if marked < 37 {
		t.Errorf("%d addresses are marked; the contracts have more", marked)
	}
}

// TestAccountsAreOursAlone: the fields by which the providers choose an account.
func TestAccountsAreOursAlone(t *testing.T) {
	want := map[string][]string{
		"zigpoll": {"accountId"}, "vonage": {"account-ref"},
		// AccountSid, app_id: inserted by the gate (account).
	}
	for _, pack := range builtin(t) {
		found := map[string]bool{}
		for _, op := range pack.Contract().Operations() {
			for _, p := range op.Places(func(s *contract.Schema) bool { return s.SelectsAccount }) {
				found[p.Path.String()] = true
			}
			for _, p := range op.Params {
				if regexp.MustCompile(`(?i)^(account|accountsid|subaccount|on_behalf_of|app_id|api_key|transfer_data|stripe_account)`).MatchString(p.Name) &&
					p.Account == "" && !p.SelectsAccount {
					t.Errorf("%s %s: %s chooses an account and is not marked", pack.ID, op.ID, p.Name)
				}
			}
		}
		for _, name := range want[pack.ID] {
			if !found[name] {
				t.Errorf("%s: %s is not marked with selects_account", pack.ID, name)
			}
		}
	}
}

func builtin(t *testing.T) []*provider.Pack {
	t.Helper()
	packs, err := provider.Builtin().Load()
	if err != nil || len(packs) != 11 {
		t.Fatalf("%d packs, %v", len(packs), err)
	}
	return packs
}
