// Package phone reads telephone numbers as guards need them: which country, what type of
// line, which block of neighbours.
//
// What a number is comes from Google's numbering plans (github.com/nyaruka/phonenumbers).
// The package keeps no number and logs none; it decides nothing.
package phone

import (
	"errors"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Kind is the type of line that a number leads to.
type Kind string

// The kinds. Mobile holds the numbers of countries (such as the United States) whose plan
// does not tell mobile and fixed lines apart.
const (
	Unknown    Kind = ""
	Mobile     Kind = "mobile"
	Fixed      Kind = "fixed"
	TollFree   Kind = "toll_free"
	Premium    Kind = "premium"
	SharedCost Kind = "shared_cost"
	VoIP       Kind = "voip"
	Personal   Kind = "personal"
	Pager      Kind = "pager"
	Company    Kind = "company" // one number for all lines of a company (UAN)
	Voicemail  Kind = "voicemail"
	// Satellite is every number that belongs to no country: satellite telephones and other
	// international networks (+870, +881, +882, +883 …), among the dearest to reach.
	Satellite Kind = "satellite"
)

// Kinds lists the kinds that a number can have. The result is the caller's.
func Kinds() []Kind {
	return []Kind{Mobile, Fixed, TollFree, Premium, SharedCost, VoIP, Personal, Pager, Company, Voicemail, Satellite}
}

// Number is a telephone number of a numbering plan. The zero Number is none.
type Number struct {
	// Digits are the calling code and the national number: 4915112345678.
	Digits string
	// Country is the two-letter code, upper case; "001" for numbers of no country.
	Country string
	Kind    Kind
}

// ErrNoNumber is the error of a text that is no telephone number.
var ErrNoNumber = errors.New("not a telephone number of any country's numbering plan")

// nowhere is the library's region of numbers that belong to no country.
const nowhere = "001"

// Parse reads a number in international form, with or without the plus sign. country, if
// not empty, is the two-letter code of a country whose national form is taken too; a text
// that means one number so and another one so is refused, because a provider might read the
// other, unless the other is an ordinary fixed line of the same country. Punctuation as people write it is left out.
func Parse(text, country string) (Number, error) {
	n, ok := international(text)
	if country == "" || strings.HasPrefix(text, "+") {
		if !ok {
			return Number{}, ErrNoNumber
		}
		return n, nil
	}
	national, fits := slow(text, strings.ToUpper(country))
	switch {
	case !ok && !fits, ok && fits && n != national && (n.Country != national.Country || national.Kind != Fixed):
		return Number{}, ErrNoNumber
	case ok:
		return n, nil
	}
	return national, nil
}

func international(text string) (Number, bool) {
	if !strings.HasPrefix(text, "+") {
		text = "+" + text
	}
	if n, ok := quick(text); ok {
		return n, true
	}
	return slow(text, "")
}

// slow asks the library itself.
func slow(text, country string) (Number, bool) {
	p, err := phonenumbers.Parse(text, country)
	if err != nil || p.GetExtension() != "" {
		return Number{}, false
	}
	region := phonenumbers.GetRegionCodeForNumber(p)
	kind := kindOf(phonenumbers.GetNumberType(p))
	if region == "" || region == "ZZ" || kind == Unknown {
		return Number{}, false
	}
	if region == nowhere && kind != TollFree && kind != SharedCost && kind != Premium {
		kind = Satellite
	}
	digits := strings.TrimPrefix(phonenumbers.Format(p, phonenumbers.E164), "+")
	return Number{Digits: digits, Country: region, Kind: kind}, true
}

func kindOf(t phonenumbers.PhoneNumberType) Kind {
	switch t {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return Mobile
	case phonenumbers.FIXED_LINE:
		return Fixed
	case phonenumbers.TOLL_FREE:
		return TollFree
	case phonenumbers.PREMIUM_RATE:
		return Premium
	case phonenumbers.SHARED_COST:
		return SharedCost
	case phonenumbers.VOIP:
		return VoIP
	case phonenumbers.PERSONAL_NUMBER:
		return Personal
	case phonenumbers.PAGER:
		return Pager
	case phonenumbers.UAN:
		return Company
	case phonenumbers.VOICEMAIL:
		return Voicemail
	}
	return Unknown
}

// Block is what a number shares with its neighbours: its digits without the last cut.
func (n Number) Block(cut int) string { return n.Digits[:max(0, len(n.Digits)-cut)] }

// Country reports whether a two-letter code (upper case) is one of a country with a numbering plan.
func Country(code string) bool {
	return len(code) == 2 && phonenumbers.GetCountryCodeForRegion(code) != 0
}
