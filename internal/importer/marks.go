package importer

import (
	"slices"
	"strings"

	"sallyport/internal/openapi"
)

// marker decides what kind of data a field holds.
type marker struct {
	wishes map[string]string // field or component.field → personal, secret, card, plain
	used   map[string]bool
}

// mark says what is known of a field: what the operator wishes, what the description says, what
// the name tells; in this order.
func (m *marker) mark(f openapi.Field) openapi.Mark {
	mark := openapi.Mark{ID: isID(f), URL: f.Request && isURL(f)}
	switch {
	case mark.ID:
		mark.Why = "an id, by its name or place"
	case mark.URL:
		mark.Why = "an address, by its name"
	}
	for _, key := range []string{f.Parent + "." + f.Name, f.Name} {
		if kind, ok := m.wishes[key]; ok {
			if m.used == nil {
				m.used = map[string]bool{}
			}
			m.used[key] = true
			if kind != "plain" {
				mark.Data, mark.Why = kind, "--sensitive"
			}
			return mark
		}
	}
	if data, why := told(f); data != "" {
		mark.Data, mark.Why = data, why
	}
	return mark
}

// told is what the description says itself, or else the name.
func told(f openapi.Field) (data, why string) {
	switch {
	case f.PII != "":
		data, why = "personal", "x-twilio.pii: "+f.PII
	case f.Format == "password":
		return "secret", "format: password"
	case f.Format == "email" || f.Format == "idn-email" || f.Format == "ipv4" || f.Format == "ipv6":
		data, why = "personal", "format: "+f.Format
	}
	if byName, name := ofName(f); byName != "" && (data == "" || byName != "personal") {
		return byName, name
	}
	if data == "" && f.WriteOnly && textual(f) {
		return "secret", "writeOnly"
	}
	return data, why
}

// words are the parts of a name in lower case: firstName, first_name and FirstName are first name.
func words(name string) []string {
	return strings.Split(strings.TrimPrefix(openapi.Kebab(name), "op-"), "-")
}

// textual reports whether a field can hold text.
func textual(f openapi.Field) bool {
	return len(f.Types) == 0 || slices.Contains(f.Types, "string")
}

func plainNumberOrText(f openapi.Field) bool {
	return textual(f) || slices.Contains(f.Types, "integer") || slices.Contains(f.Types, "number")
}

// The names that tell. A name tells if it is, or ends with, one of these words.
var (
	secretNames = []string{"password", "passwd", "passphrase", "secret", "client secret", "api key", "apikey", "api secret", "private key", "secret key", "signing key", "encryption key",
		"access token", "refresh token", "auth token", "id token", "token", "credential", "otp", "pin", "one time code", "verification code", "signature secret"}
	notSecret = []string{"page token", "next page token", "prev page token", "previous page token", "next token", "sync token", "continuation token", "cursor token", "session token", "pagination token", "start page token"}
	cardNames = []string{"card number", "cardnumber", "pan", "primary account number", "cvc", "cvv", "cvc2", "cvv2", "cvn", "card cvc", "card cvv", "security code", "track data", "track1", "track2", "cryptogram"}
	cardParts = []string{"number", "exp month", "exp year", "expiry", "expiry month", "expiry year", "expiration date", "exp date", "service code"}
	// personNames tell by themselves.
	personNames = []string{"email", "email address", "e mail", "phone", "phone number", "telephone", "mobile", "mobile number", "cell", "msisdn", "fax",
		"first name", "firstname", "last name", "lastname", "given name", "family name", "surname", "middle name", "full name", "fullname", "maiden name", "birth name", "legal name", "cardholder name", "account holder name", "holder name", "customer name", "recipient name", "contact name",
		"address", "street", "street address", "line1", "line2", "address line1", "address line2", "address line 1", "address line 2", "address1", "address2", "postal code", "postcode", "zip", "zip code", "zipcode",
		"dob", "date of birth", "birth date", "birthdate", "birthday", "gender", "sex", "nationality", "citizenship", "place of birth", "marital status", "religion", "ethnicity",
		"ssn", "ssn last 4", "social security number", "national id", "national identification number", "passport", "passport number", "id number", "tax id", "tax number", "vat number", "drivers license", "driver license", "license number", "personal id",
		"iban", "account number", "bank account number", "routing number", "sort code",
		"ip", "ip address", "client ip", "remote ip", "user agent", "device id", "latitude longitude"}
	// named names tell where what they stand in is a person or goes to one.
	personParts  = []string{"name", "title", "city", "state", "region", "country", "district", "province", "nickname", "username", "display name", "picture", "avatar", "photo", "locale", "age"}
	personThings = []string{"customer", "person", "payer", "payee", "shipping", "billing", "user", "contact", "recipient", "sender", "receiver", "owner", "cardholder", "individual", "holder", "address", "profile", "guest", "patient", "employee", "member", "subscriber", "buyer", "attendee", "participant", "visitor", "applicant", "representative", "director", "caller", "userinfo"}
)

// ofName is what a field's name tells.
func ofName(f openapi.Field) (data, why string) {
	list := words(f.Name)
	if i := ends(list, cardNames); i != "" && plainNumberOrText(f) {
		return "card", "the name says " + i
	}
	if slices.Contains(words(f.Parent), "card") && slices.Contains(cardParts, strings.Join(list, " ")) && plainNumberOrText(f) {
		return "card", "the name, in a card"
	}
	if i := ends(list, secretNames); i != "" && ends(list, notSecret) == "" && textual(f) && !f.Listed {
		return "secret", "the name says " + i
	}
	if i := ends(list, personNames); i != "" && !slices.Contains(f.Types, "boolean") {
		return "personal", "the name says " + i
	}
	if slices.Contains(personParts, strings.Join(list, " ")) && textual(f) {
		for _, w := range words(f.Parent) {
			if slices.Contains(personThings, w) || slices.Contains(personThings, strings.TrimSuffix(w, "s")) {
				return "personal", "the name, in " + w
			}
		}
	}
	return "", ""
}

// ends gives the longest of the names that the words end with.
func ends(list []string, names []string) string {
	joined := " " + strings.Join(list, " ")
	best := ""
	for _, name := range names {
		if strings.HasSuffix(joined, " "+name) && len(name) > len(best) {
			best = name
		}
	}
	if best == "" && strings.HasSuffix(joined, "s") { // emails, addresses
		for _, name := range names {
			if strings.HasSuffix(joined, " "+name+"s") || strings.HasSuffix(joined, " "+name+"es") {
				return name
			}
		}
	}
	return best
}

// isID reports whether a field is the id of an object: a parameter in the path, or a name that
// ends so. A value out of a fixed list is none, but that is not seen here, and it costs only that
// a browser cannot choose it before somebody says so.
func isID(f openapi.Field) bool {
	if f.In == "path" {
		return true
	}
	list := words(f.Name)
	last := list[len(list)-1]
	return plainNumberOrText(f) && (last == "id" || last == "sid" || last == "uuid" || last == "guid" || f.Request && last == "ids")
}

// isURL reports whether the provider would send somebody, or a call, to the value.
func isURL(f openapi.Field) bool {
	list := words(f.Name)
	last := list[len(list)-1]
	return textual(f) && (last == "url" || last == "uri" || last == "callback" || last == "webhook" || last == "redirect")
}
