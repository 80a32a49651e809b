// Package wire turns what stands on the wire besides JSON into tapes, and back: form bodies,
// query strings, path, header and cookie parameters, multipart bodies and XML. The compiled
// schema says how to read: which text is a number, which brackets are an array.
//
// It guarantees: reading is strict (what two parsers could read differently is refused),
// bounded in time and memory for any bytes, and keeps names that the schema does not know, so
// that the closed-world check refuses them at every depth. Writing is the inverse of reading:
// what is written is read back as the same value, a value that would be read as another one is
// refused, and the same value always gives the same bytes. docs/formats/form.md is the rule.
//
// It does not check values against schemas (package schema does), knows no operations, and
// reads no files.
package wire

import (
	"sallyport/internal/problem"
)

// Bounds of everything that is read here. They are no settings: a request beyond them is no
// request of a website.
const (
	maxPairs  = 10_000  // name=value pairs of a form or query
	maxPlaces = 100_000 // names and indexes in all of them
	maxDepth  = 64      // levels of nesting, the body itself counted
	maxDigits = 128     // characters of a number
	maxPower  = 308     // its exponent, either sign
	keepBytes = 1 << 18 // buffers that have grown beyond this are not kept for the next request
)

// refuse makes the error for a caller.
func refuse(code problem.Code, format string, args ...any) *problem.Error {
	return problem.New(code, format, args...)
}
