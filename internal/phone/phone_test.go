package phone

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

func TestParse(t *testing.T) {
	for _, row := range []struct {
		text, country string
		want          Number
	}{
		{"+4915112345678", "", Number{"4915112345678", "DE", Mobile}},
		{"4915112345678", "", Number{"4915112345678", "DE", Mobile}},
		{"+49 (151) 123-45678", "", Number{"4915112345678", "DE", Mobile}},
		{"+49 0151 12345678", "", Number{"4915112345678", "DE", Mobile}},
		{"015112345678", "DE", Number{"4915112345678", "DE", Mobile}},
		{"4915112345678", "DE", Number{"4915112345678", "DE", Mobile}},
		{"+12025550123", "", Number{"12025550123", "US", Mobile}},
		{"+18765550123", "", Number{"18765550123", "JM", Mobile}},
		{"+441534123456", "", Number{"441534123456", "JE", Fixed}},
		{"+499001234567", "", Number{"499001234567", "DE", Premium}},
		{"+448001111111", "", Number{"448001111111", "GB", TollFree}},
		{"+881631234567", "", Number{"881631234567", "001", Satellite}},
		{"+390612345678", "", Number{"390612345678", "IT", Fixed}},
	} {
		n, err := Parse(row.text, row.country)
		if err != nil || n != row.want {
			t.Errorf("%q in %q: %+v, %v; want %+v", row.text, row.country, n, err, row.want)
		}
	}
	for _, text := range []string{"", "+", "12345", "+4470123456", "+999123456789", "not a number", "+49151123456789012345", "+4915112345678;ext=5", "00000000000000"} {
		if n, err := Parse(text, ""); err == nil {
			t.Errorf("%q is %+v", text, n)
		}
	}
	if got := (Number{Digits: "4915112345678"}).Block(3); got != "4915112345" {
		t.Errorf("the block is %s", got)
	}
	if !Country("GB") || Country("XX") || Country("001") || Country("") {
		t.Error("countries")
	}
}

// TestQuickIsTheLibrary holds the short way against the library: examples of every country
// and type, their neighbours, and numbers of random digits. make torture tries a million.
func TestQuickIsTheLibrary(t *testing.T) {
	rnd, tries := rand.New(rand.NewPCG(1, 2)), 20_000
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		tries = 1_000_000
	}
	var examples []string
	for region := range phonenumbers.GetSupportedRegions() {
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
			if p := phonenumbers.GetExampleNumberForType(region, kind); p != nil {
				examples = append(examples, phonenumbers.Format(p, phonenumbers.E164))
			}
		}
	}
	short, known := 0, 0
	for i := range tries {
		text := "+" + strconv.Itoa(rnd.IntN(999)+1) + fmt.Sprint(rnd.Int64N(1e11))
		if i%4 != 0 {
			b := []byte(examples[(i/4*3+i%4)%len(examples)])
			for range rnd.IntN(4) {
				b[len(b)-1-rnd.IntN(min(8, len(b)-1))] = '0' + byte(rnd.IntN(10))
			}
			text = string(b)
		}
		want, fits := slow(text, "")
		if fits {
			known++
		}
		if got, ok := quick(text); ok {
			short++
			if !fits || got != want {
				t.Fatalf("%s: %+v, the library says %+v, %v", text, got, want, fits)
			}
		}
	}
	if len(examples) < 500 || known < tries/4 || short < known*8/10 {
		t.Errorf("%d examples, %d numbers of a plan, %d of them the short way", len(examples), known, short)
	}
}

func BenchmarkParse(b *testing.B) {
	numbers := []string{"+4915112345678", "+447912345678", "+12025550123", "+4367612345678", "+33612345678", "+79161234567", "+8613812345678"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := Parse(numbers[i%len(numbers)], ""); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTablesAreThePatterns: the table of every pattern of every plan says what the standard
// library's machine says of it, also where only a beginning has to fit.
func TestTablesAreThePatterns(t *testing.T) {
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	rnd, tables, general := rand.New(rand.NewPCG(3, 4)), 0, 0
	for _, m := range all.GetMetadata() {
		for _, d := range []*phonenumbers.PhoneNumberDesc{m.GetGeneralDesc(), m.GetFixedLine(), m.GetMobile(), m.GetTollFree(), m.GetPremiumRate(), m.GetVoip(), m.GetUan()} {
			pattern := d.GetNationalNumberPattern()
			whole, begins := digitsOf(pattern, true), digitsOf(pattern, false)
			if whole.other != nil {
				general++
				continue
			}
			tables++
			reWhole, reBegins := regexp.MustCompile("^(?:"+pattern+")$"), regexp.MustCompile("^(?:"+pattern+")")
			for range 6 {
				text := d.GetExampleNumber() + strconv.Itoa(rnd.IntN(10))
				b := []byte(text[:len(text)-rnd.IntN(3)%len(text)])
				if rnd.IntN(3) > 0 && len(b) > 0 {
					b[rnd.IntN(len(b))] = '0' + byte(rnd.IntN(10))
				}
				if got, want := whole.whole(string(b)), reWhole.Match(b); got != want {
					t.Fatalf("%s: %q fits %s: %v, want %v", m.GetId(), b, pattern, got, want)
				}
				if got, want := begins.begins(string(b)), reBegins.Match(b); got != want {
					t.Fatalf("%s: %q begins as %s: %v, want %v", m.GetId(), b, pattern, got, want)
				}
			}
		}
	}
	if tables < 1000 || general > tables/10 {
		t.Errorf("%d tables, %d patterns left to the general machine", tables, general)
	}
	if d := digitsOf(`12$|3`, true); d.other == nil || !d.whole("12") || d.whole("123") || !d.whole("3") {
		t.Error("a pattern that is no table is lost")
	}
}

// BenchmarkFirst is the first number of a calling code: its plans are compiled.
func BenchmarkFirst(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if new(book).of(1).list == nil {
			b.Fatal("no plan")
		}
	}
}
