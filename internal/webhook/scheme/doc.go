// Package scheme proves that an event came from its provider, on the raw bytes that arrived
// and before anything of them is parsed, and signs as a provider would.
//
// It guarantees:
//   - Nothing is accepted whose signature is missing, there twice, malformed, made with another
//     key or outside the window of time, where the scheme has a time.
//   - Signatures are compared in constant time, whole.
//   - Type, id and object are read from signed bytes only, by a strict reader (no key twice).
//   - Errors name what was wrong in words of ours: no bytes of the request, no secret.
//
// It does not: dial (certificates come through Config.Fetch), remember what it saw before
// (webhook does), or trust headers that the signature does not cover.
//
// A new kind of signature is one new file and a line in New.
package scheme
