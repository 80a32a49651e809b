package phone

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// The library takes some 35 µs for a number: it makes each pattern anew as text, looks it up
// and runs it twice. Here the same patterns of the same plans are compiled once for each
// calling code that is asked for, and a number in plain E.164 form takes 2 to 3 µs. What
// these do not accept at once the library itself decides; a test holds both against each
// other.

// plans are those of one calling code, in the library's order.
type plans struct {
	once sync.Once
	list []*plan
	// national finds a trunk prefix, which the library may take off: then it decides.
	national *regexp.Regexp
}

// plan is the numbering plan of one country.
type plan struct {
	country string
	leading *regexp.Regexp // nil: the patterns decide
	general pattern
	kinds   []kindPattern // in the library's order
	fixed   pattern
	mobile  pattern
	same    bool // fixed and mobile are not told apart
}

type pattern struct {
	lengths []int32
	re      *regexp.Regexp
}

type kindPattern struct {
	pattern
	kind Kind
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
				p.national = regexp.MustCompile("^(?:" + m.GetNationalPrefixForParsing() + ")")
			}
			p.list = append(p.list, newPlan(m))
		}
	})
	return p
}

func newPlan(m *phonenumbers.PhoneMetadata) *plan {
	p := &plan{country: m.GetId(), general: compiled(m.GetGeneralDesc()), fixed: compiled(m.GetFixedLine()), mobile: compiled(m.GetMobile()), same: m.GetSameMobileAndFixedLinePattern()}
	if m.GetLeadingDigits() != "" {
		p.leading = regexp.MustCompile("^(?:" + m.GetLeadingDigits() + ")")
	}
	p.kinds = []kindPattern{{compiled(m.GetPremiumRate()), Premium}, {compiled(m.GetTollFree()), TollFree}, {compiled(m.GetSharedCost()), SharedCost},
		{compiled(m.GetVoip()), VoIP}, {compiled(m.GetPersonalNumber()), Personal}, {compiled(m.GetPager()), Pager}, {compiled(m.GetUan()), Company}, {compiled(m.GetVoicemail()), Voicemail}}
	return p
}

func compiled(d *phonenumbers.PhoneNumberDesc) pattern {
	return pattern{lengths: d.GetPossibleLength(), re: regexp.MustCompile("^(?:" + d.GetNationalNumberPattern() + ")$")}
}

func (p *pattern) fits(national string) bool {
	return (len(p.lengths) == 0 || slices.Contains(p.lengths, int32(len(national)))) && p.re.MatchString(national)
}

// kind is the library's getNumberTypeHelper.
func (p *plan) kind(national string) Kind {
	if !p.general.fits(national) {
		return Unknown
	}
	for i := range p.kinds {
		if p.kinds[i].fits(national) {
			return p.kinds[i].kind
		}
	}
	if p.fixed.fits(national) {
		if p.same || p.mobile.fits(national) {
			return Mobile
		}
		return Fixed
	}
	if !p.same && p.mobile.fits(national) {
		return Mobile
	}
	return Unknown
}

// quick reads a number of one country in plain E.164 form. ok is false for all that it
// leaves to the library.
func quick(text string) (n Number, ok bool) {
	digits, plus := strings.CutPrefix(text, "+")
	if !plus || len(digits) < 7 || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
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
		if p.national != nil && p.national.MatchString(national) {
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
			if one.leading.MatchString(national) {
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
