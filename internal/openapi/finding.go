package openapi

import "fmt"

// Finding is something in a document that is wrong, or that was not carried over as it stands.
type Finding struct {
	File    string `json:"file"`
	Pointer string `json:"pointer"`
	// Operation is the operation that does not work because of it, or "".
	Operation string `json:"operation,omitempty"`
	What      string `json:"what"` // what was found
	Done      string `json:"done"` // what was done about it
	// Fatal: the operation cannot be taken over.
	Fatal bool `json:"fatal,omitempty"`
}

// String is the finding in one line.
func (f Finding) String() string {
	at := f.File + "#" + f.Pointer
	if f.Operation != "" {
		at += " (" + f.Operation + ")"
	}
	return at + ": " + f.What + "; " + f.Done
}

// maxFindings bounds the list; the rest is counted.
const maxFindings = 2_000

// findings collects what is found, each once.
type findings struct {
	list []Finding
	seen map[Finding]bool
	more int
}

func (f *findings) add(x Finding) {
	if f.seen == nil {
		f.seen = map[Finding]bool{}
	}
	switch {
	case f.seen[x]:
	case len(f.list) >= maxFindings:
		f.more++
	default:
		f.seen[x] = true
		f.list = append(f.list, x)
	}
}

func (f *findings) note(n node, done, format string, args ...any) {
	if len(f.list) >= maxFindings { // to name a place takes time
		f.more++
		return
	}
	name := ""
	if n.file != nil {
		name = n.file.name
	}
	f.add(Finding{File: name, Pointer: n.pointer(), What: fmt.Sprintf(format, args...), Done: done})
}
