package importer

import (
	"encoding/json"
	"slices"
	"strings"

	"sallyport/internal/openapi"
)

// The words of an operation's name and path that tell what it does, apart from reading.
var effectWords = []struct {
	effect string
	words  []string
}{
	{"money", []string{"pay", "payment", "payments", "charge", "charges", "refund", "refunds", "transfer", "transfers", "payout", "payouts", "capture", "captures", "checkout", "invoice", "invoices",
		"subscription", "subscriptions", "topup", "topups", "credit", "debit", "withdraw", "withdrawal", "withdrawals", "purchase", "purchases", "order", "orders", "donation", "donations", "mandate", "mandates", "balance", "buy", "billing", "quote", "quotes"}},
	{"message", []string{"message", "messages", "sms", "mms", "email", "emails", "mail", "call", "calls", "notify", "notification", "notifications", "verification", "verifications", "verify", "fax", "faxes", "push", "invite", "invites", "invitation", "invitations", "send", "remind", "reminder", "dispatch", "otp"}},
	{"admin", []string{"webhook", "webhooks", "key", "keys", "apikey", "apikeys", "credential", "credentials", "secret", "secrets", "role", "roles", "permission", "permissions", "member", "members", "team", "teams", "subaccount", "subaccounts",
		"settings", "configuration", "configurations", "policy", "policies", "token", "tokens", "iam", "domain", "domains", "certificate", "certificates"}},
}

// effects says what an operation does, as far as its name tells. A read has no effect of its own.
func effects(o openapi.Operation) (list []string, why string) {
	if o.Method == "GET" {
		return nil, ""
	}
	name := append(words(o.ID), words(strings.ReplaceAll(o.Path, "{", " {"))...)
	var reasons []string
	for _, e := range effectWords {
		for _, w := range e.words {
			if slices.Contains(name, w) {
				list = append(list, e.effect)
				reasons = append(reasons, e.effect+" by the word "+w)
				break
			}
		}
	}
	return list, strings.Join(reasons, ", ")
}

// note is x-sallyport of one operation.
type note struct {
	Server   string   `json:"server"`
	Auth     string   `json:"auth"`
	Retry    string   `json:"retry"`
	Effects  []string `json:"effects"`
	Official struct {
		File string `json:"file"`
		Path string `json:"path"`
	} `json:"official"`
	Source string `json:"source"`
	Note   string `json:"note,omitempty"`
}

// note writes it, and the operation's line of the report.
func (m *maker) note(o openapi.Operation, marks []openapi.Marked) []byte {
	n := note{Server: m.servers.name(o), Auth: m.auths.of[o.ID], Retry: "never", Effects: []string{}, Source: m.o.File + "#" + o.Pointer}
	if o.Method == "GET" {
		n.Retry = "safe"
	}
	if rule := m.retries[o.ID]; rule != "" {
		n.Retry = rule
	}
	list, why := effects(o)
	n.Effects = append(n.Effects, list...)
	if slices.ContainsFunc(marks, func(mark openapi.Marked) bool { return mark.Data == "personal" || mark.Data == "card" }) {
		n.Effects = append(n.Effects, "personal")
	}
	if o.Docs != "" {
		n.Source = o.Docs
	}
	n.Official.File, n.Official.Path = m.o.File, o.Path
	if why != "" {
		n.Note = why
	}
	m.lines[o.ID] = Line{ID: o.ID, Named: o.Named, Method: o.Method, Path: m.servers.prefix(o) + o.Path, Summary: o.Summary,
		Server: n.Server, Auth: n.Auth, Retry: n.Retry, Effects: n.Effects, Why: why}
	text, err := json.Marshal(n)
	if err != nil {
		return []byte("{}") // strings and lists of them are always JSON; Load would refuse this
	}
	return text
}
