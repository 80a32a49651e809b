package contract

// Document is a loaded contract. It is immutable and safe for concurrent use.
type Document struct{}
