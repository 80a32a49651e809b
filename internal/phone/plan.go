package phone

import (
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// The library takes some 35 µs for a number: it makes each pattern anew as text, looks it up
// and runs it twice. Here the same patterns of the same plans become tables (digits.go), once
// for each calling code that is asked for, and a number in plain E.164 form takes a quarter
// of a microsecond. What these do not accept at once the library itself decides; a test holds
// both against each other.

// plans are those of one calling code, in the library's order.
type plans struct {
	once sync.Once
	list []*plan
	// national finds a trunk prefix, which the library may take off: then it decides.
	national *digits
}

// plan is the numbering plan of one country.
type plan struct {
	country string
	leading *digits // nil: the patterns decide
	fits    together
	same    bool // fixed and mobile are not told apart
}

// The places of a plan's patterns in together; the kinds stand in the library's order.
const (
	general = iota
	fixed
	mobile
	others
)

// otherKinds are the kinds from others on.
func otherKinds() [8]Kind {
	return [8]Kind{Premium, TollFree, SharedCost, VoIP, Personal, Pager, Company, Voicemail}
}

// book is read by calling code, 1 to 999.
type book struct {
	codes [1000]plans
	once  sync.Once
	meta  map[string]*phonenumbers.PhoneMetadata
}

// numberingPlans is the one book: it fills as codes are asked for, and nothing else changes it.
var numberingPlans = sync.OnceValue(func() *book { return new(book) })

func (b *book) metadata(region string) *phonenumbers.PhoneMetadata {
	b.once.Do(func() {
		b.meta = map[string]*phonenumbers.PhoneMetadata{}
		all, err := phonenumbers.MetadataCollection()
		if err != nil {
			return // nothing is found, and the library decides
		}
		for _, m := range all.GetMetadata() {
			if m.GetId() != nowhere {
				b.meta[m.GetId()] = m
			}
		}
	})
	return b.meta[region]
}

func (b *book) of(code int) *plans {
	p := &b.codes[code]
	p.once.Do(func() {
		for i, region := range phonenumbers.GetRegionCodesForCountryCode(code) {
			m := b.metadata(region)
			if m == nil {
				p.list = nil
				return
			}
			if i == 0 && m.GetNationalPrefixForParsing() != "" {
				p.national = new(digitsOf(m.GetNationalPrefixForParsing(), false))
			}
			p.list = append(p.list, newPlan(m))
		}
	})
	return p
}

func newPlan(m *phonenumbers.PhoneMetadata) *plan {
	p := &plan{country: m.GetId(), same: m.GetSameMobileAndFixedLinePattern()}
	if m.GetLeadingDigits() != "" {
		p.leading = new(digitsOf(m.GetLeadingDigits(), false))
	}
	var list []pattern
	for _, d := range []*phonenumbers.PhoneNumberDesc{m.GetGeneralDesc(), m.GetFixedLine(), m.GetMobile(), // as the places above
		m.GetPremiumRate(), m.GetTollFree(), m.GetSharedCost(), m.GetVoip(), m.GetPersonalNumber(), m.GetPager(), m.GetUan(), m.GetVoicemail()} {
		list = append(list, pattern{lengths: d.GetPossibleLength(), digits: digitsOf(d.GetNationalNumberPattern(), true)})
	}
	p.fits = merged(list)
	return p
}

// kind is the library's getNumberTypeHelper.
func (p *plan) kind(national string) Kind {
	fits := p.fits.which(national)
	has := func(place int) bool { return fits&(1<<place) != 0 }
	if !has(general) {
		return Unknown
	}
	for i, kind := range otherKinds() {
		if has(others + i) {
			return kind
		}
	}
	switch {
	case has(fixed) && (p.same || has(mobile)):
		return Mobile
	case has(fixed):
		return Fixed
	case !p.same && has(mobile):
		return Mobile
	}
	return Unknown
}

// quick reads a number of one country in plain E.164 form. ok is false for all that it
// leaves to the library.
func quick(text string) (n Number, ok bool) {
	digits, plus := strings.CutPrefix(text, "+")
	if !plus || len(digits) < 7 || len(digits) > 15 || !onlyDigits(digits) {
		return Number{}, false
	}
	for size := 1; size <= 3; size++ {
		code, err := strconv.Atoi(digits[:size])
		if err != nil || code == 0 {
			return Number{}, false
		}
		p := numberingPlans().of(code)
		if len(p.list) == 0 {
			continue
		}
		national := digits[size:]
		if p.national != nil && p.national.begins(national) {
			return Number{}, false
		}
		country, kind := p.find(national)
		return Number{Digits: digits, Country: country, Kind: kind}, kind != Unknown
	}
	return Number{}, false
}

// find is the library's choice of a region among those of one calling code.
func (p *plans) find(national string) (string, Kind) {
	if len(p.list) == 1 {
		return p.list[0].country, p.list[0].kind(national)
	}
	for _, one := range p.list {
		if one.leading != nil {
			if one.leading.begins(national) {
				return one.country, one.kind(national)
			}
			continue
		}
		if kind := one.kind(national); kind != Unknown {
			return one.country, kind
		}
	}
	return "", Unknown
}

func onlyDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}
