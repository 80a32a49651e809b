// Package schema compiles JSON Schema 2020-12 and the schema objects of OpenAPI 3.0, 3.1 and
// 3.2 into flat tables, and runs them over a tape: it decides whether a value fits, which of
// its members are known, which of them are sensitive, what of it a caller sees, and why a
// value does not fit.
//
// It guarantees: verdicts are exact (numbers are compared as they are written, never as
// floats; lengths count code points); a check that does not fit its bound of work says
// TooComplex and never Valid; the zero ID fits nothing; a Program is immutable, safe for
// concurrent use and the same bytes on every machine; a check with a Machine that was used
// before allocates nothing.
//
// It does not fetch documents, knows no operations, and never changes a value.
//
// # Modes
//
// Strict is JSON Schema as the specification says. Request and Response differ:
//
//   - Request is a closed world. Each composition root (a schema applied to a value from
//     outside: the root, a member's, an element's) counts as if unevaluatedProperties and
//     unevaluatedItems were false, with everything that applies in place (allOf, anyOf, oneOf,
//     $ref, if) counting together. A schema that says nothing at all ({}), or only const or
//     enum, lets everything below through, unless another part of the same root speaks about
//     members. Whole numbers are written in digits where only integers may stand. __proto__ is
//     no name, except where properties lists it. Formats bind.
//   - Response is open: unknown members are no faults, but Known is false for them and
//     AppendReduced leaves them out. oneOf reads as anyOf. Formats describe.
//
// nullable: true allows null whatever else its schema says (OpenAPI dialects only; OpenAPI
// 3.0 writes it beside anyOf without a type). discriminator never changes a verdict; it
// selects whose faults are told.
package schema

import "sallyport/internal/tape"

// Dialect is the language a schema is written in.
type Dialect uint8

// The dialects. OpenAPI31 is that of OpenAPI 3.1 and 3.2.
const (
	Draft202012 Dialect = iota
	OpenAPI30
	OpenAPI31
)

// Config says how documents are compiled.
type Config struct {
	Dialect Dialect
	// Documents gives other documents by absolute URI; nil: there are none. It is called
	// once for each URI.
	Documents func(uri string) (*tape.Tape, error)
	// Marks reads the sensitivity of the schema object at a node; nil: nothing is sensitive.
	Marks func(t *tape.Tape, schemaNode int) (Mark, error)
	// AssertFormats makes formats bind in Strict mode too.
	AssertFormats bool
	// RefuseUnknown makes a keyword that is not enforced a fault, except annotations and
	// names that begin with x-.
	RefuseUnknown bool
}

// ID is a compiled schema of a Program. The zero ID fits nothing.
type ID uint32

// The schemas that every Program has: false and true.
const (
	Nothing  ID = 0
	Anything ID = 1
)

// Mark says how sensitive a value is, in bits.
type Mark uint8

// The marks.
const (
	Personal Mark = 1 << iota // about a person
	Secret                    // gives power
	Card                      // cardholder or sensitive authentication data (PCI DSS)

	// hidden: the value, or each element of it, is secret.
	hidden Mark = 1 << 7

	allMarks = Personal | Secret | Card
)

// Mode says how a value is judged (package comment).
type Mode uint8

// The modes.
const (
	Strict Mode = iota
	Request
	Response
)

// Verdict is the outcome of a check.
type Verdict uint8

// The verdicts. The zero Verdict refuses.
const (
	Invalid    Verdict = iota // the value does not fit
	Valid                     // it does
	TooComplex                // undecided: more work than the value's size allows
)

// String names the verdict.
func (v Verdict) String() string {
	switch v {
	case Valid:
		return "valid"
	case TooComplex:
		return "too complex"
	}
	return "invalid"
}

// Types is a set of JSON types. A number that is whole is an Integer, any other a Fraction.
type Types uint8

// The types.
const (
	Null Types = 1 << iota
	Boolean
	Integer
	Fraction
	String
	Array
	Object

	Number   = Integer | Fraction
	AllTypes = Null | Boolean | Number | String | Array | Object
)
