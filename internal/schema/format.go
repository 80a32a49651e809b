package schema

import (
	"math"
	"strconv"
)

// A formatID is a value of the keyword `format` that this package can check. The names are
// those of JSON Schema 2020-12 (Validation §7.3) and of the OpenAPI format registry
// (spec.openapis.org/registry/format); all other names only describe.
type formatID uint8

const (
	noFormat formatID = iota
	formatDate
	formatTime
	formatDateTime
	formatTimeLocal
	formatDateTimeLocal
	formatDuration
	formatEmail
	formatIDNEmail
	formatHostname
	formatIDNHostname
	formatIPv4
	formatIPv6
	formatURI
	formatURIReference
	formatIRI
	formatIRIReference
	formatURITemplate
	formatJSONPointer
	formatRelativeJSONPointer
	formatRegex
	formatUUID
	formatByte
	formatBase64URL
	formatChar
	formatDecimal
	formatInt8
	formatInt16
	formatInt32
	formatInt64
	formatUint8
	formatUint16
	formatUint32
	formatUint64
	formatDoubleInt
	formatFloat
	formatDouble
)

// A formatRule is one line of the table of formats: what the name is about and where it is defined.
type formatRule struct {
	name    string
	format  formatID
	strings bool // binds strings
	numbers bool // binds numbers
	openAPI bool // a name of the OpenAPI registry only: a plain JSON Schema (Draft202012) does not know it
	source  string
}

// formatRules is the table of all formats that bind; docs/reference/json-schema.md shows it.
func formatRules() []formatRule {
	return []formatRule{
		{"date", formatDate, true, false, false, "RFC 3339 full-date"},
		{"time", formatTime, true, false, false, "RFC 3339 full-time, with leap seconds"},
		{"date-time", formatDateTime, true, false, false, "RFC 3339 date-time, with leap seconds"},
		{"duration", formatDuration, true, false, false, "RFC 3339 appendix A"},
		{"email", formatEmail, true, false, false, "RFC 5321 Mailbox"},
		{"idn-email", formatIDNEmail, true, false, false, "RFC 6531 Mailbox"},
		{"hostname", formatHostname, true, false, false, "RFC 1123 §2.1, RFC 5891 §4.4 for xn-- labels"},
		{"idn-hostname", formatIDNHostname, true, false, false, "RFC 5890 §2.3.2.3"},
		{"ipv4", formatIPv4, true, false, false, "RFC 2673 §3.2"},
		{"ipv6", formatIPv6, true, false, false, "RFC 4291 §2.2, without zone"},
		{"uri", formatURI, true, false, false, "RFC 3986"},
		{"uri-reference", formatURIReference, true, false, false, "RFC 3986"},
		{"iri", formatIRI, true, false, false, "RFC 3987"},
		{"iri-reference", formatIRIReference, true, false, false, "RFC 3987"},
		{"uri-template", formatURITemplate, true, false, false, "RFC 6570"},
		{"json-pointer", formatJSONPointer, true, false, false, "RFC 6901"},
		{"relative-json-pointer", formatRelativeJSONPointer, true, false, false, "draft-bhutton-relative-json-pointer-00"},
		{"regex", formatRegex, true, false, false, "ECMA-262; also patterns that cannot be matched here"},
		{"uuid", formatUUID, true, false, false, "RFC 4122 §3"},
		{"date-time-local", formatDateTimeLocal, true, false, true, "RFC 3339 date-time without its offset"},
		{"time-local", formatTimeLocal, true, false, true, "RFC 3339 partial-time"},
		{"byte", formatByte, true, false, true, "RFC 4648, either alphabet, padded or not"},
		{"base64url", formatBase64URL, true, false, true, "RFC 4648 §5"},
		{"char", formatChar, true, false, true, "one character"},
		{"decimal", formatDecimal, true, false, true, "a decimal number, also with an exponent"},
		{"int8", formatInt8, false, true, true, "whole, 8 bits"},
		{"int16", formatInt16, false, true, true, "whole, 16 bits"},
		{"int32", formatInt32, false, true, true, "whole, 32 bits"},
		{"int64", formatInt64, true, true, true, "whole, 64 bits; as a string, in digits"},
		{"uint8", formatUint8, false, true, true, "whole, not negative, 8 bits"},
		{"uint16", formatUint16, false, true, true, "whole, not negative, 16 bits"},
		{"uint32", formatUint32, false, true, true, "whole, not negative, 32 bits"},
		{"uint64", formatUint64, true, true, true, "whole, not negative, 64 bits; as a string, in digits"},
		{"double-int", formatDoubleInt, false, true, true, "whole, up to ±(2⁵³−1)"},
		{"float", formatFloat, false, true, true, "finite in single precision"},
		{"double", formatDouble, false, true, true, "finite in double precision"},
	}
}

// formatNamed finds the format of that name, for a plain JSON Schema or for one of OpenAPI.
func formatNamed(name string, openAPI bool) (formatRule, bool) {
	for _, r := range formatRules() {
		if r.name == name && (openAPI || !r.openAPI) {
			return r, true
		}
	}
	return formatRule{}, false
}

// fitsString tells whether a string's decoded text has the format. Formats of numbers take any string.
func (f formatID) fitsString(s []byte) bool {
	switch f {
	case formatDate:
		return isDate(s)
	case formatTime:
		return isTime(s, true)
	case formatDateTime:
		return isDateTime(s, true)
	case formatTimeLocal:
		return isTime(s, false)
	case formatDateTimeLocal:
		return isDateTime(s, false)
	case formatDuration:
		return isDuration(s)
	case formatEmail, formatIDNEmail:
		return isEmail(s, f == formatIDNEmail)
	case formatHostname:
		return isHostname(s)
	case formatIDNHostname:
		return isIDNHostname(string(s))
	case formatIPv4:
		return isIPv4(s)
	case formatIPv6:
		return isIPv6(s)
	case formatURI, formatIRI:
		return isURI(s, f == formatIRI, false)
	case formatURIReference, formatIRIReference:
		return isURI(s, f == formatIRIReference, true)
	case formatURITemplate:
		return isURITemplate(s)
	case formatJSONPointer:
		return isJSONPointer(s)
	case formatRelativeJSONPointer:
		return isRelativeJSONPointer(s)
	case formatRegex:
		return isPattern(string(s))
	case formatUUID:
		return isUUID(s)
	}
	return f.fitsEncoding(s)
}

// fitsEncoding checks the formats of the OpenAPI registry that strings can have.
func (f formatID) fitsEncoding(s []byte) bool {
	switch f {
	case formatByte:
		return isBase64(s, '+', '/') || isBase64(s, '-', '_')
	case formatBase64URL:
		return isBase64(s, '-', '_')
	case formatChar:
		return isOneCharacter(s)
	case formatDecimal:
		return isDecimal(s)
	case formatInt64, formatUint64:
		return isDigits(s) && f.fitsNumber(s)
	}
	return true
}

// fitsNumber tells whether a number's text has the format. Formats of strings take any number.
func (f formatID) fitsNumber(text []byte) bool {
	bound := func(low, high string) bool {
		return readNumber(text).whole() && compareNumbers(text, []byte(low)) >= 0 && compareNumbers(text, []byte(high)) <= 0
	}
	switch f {
	case formatInt8:
		return bound("-128", "127")
	case formatInt16:
		return bound("-32768", "32767")
	case formatInt32:
		return bound("-2147483648", "2147483647")
	case formatInt64:
		return bound("-9223372036854775808", "9223372036854775807")
	case formatUint8:
		return bound("0", "255")
	case formatUint16:
		return bound("0", "65535")
	case formatUint32:
		return bound("0", "4294967295")
	case formatUint64:
		return bound("0", "18446744073709551615")
	case formatDoubleInt:
		return bound("-9007199254740991", "9007199254740991")
	case formatFloat, formatDouble:
		return isFinite(text, f == formatFloat)
	}
	return true
}

func isFinite(text []byte, single bool) bool {
	bits := 64
	if single {
		bits = 32
	}
	if n := readNumber(text); n.exp < 38 {
		return true
	}
	v, err := strconv.ParseFloat(string(text), bits)
	return err == nil && !math.IsInf(v, 0)
}
