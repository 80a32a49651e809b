package wire

import (
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// view is a schema's shape with its types at hand. The zero view is a place that no schema
// knows.
type view struct {
	schema.Shape
	types schema.Types
}

func viewOf(s schema.Shape) view {
	v := view{Shape: s}
	if s.Known() {
		v.types = s.Types()
	}
	return v
}

// member is the view of a member; listed is false for a map's entry and an unknown name.
func (v view) member(name []byte) (kid view, listed bool) {
	return v.memberOf(tape.Hash(name), name)
}

// memberOf is member for a name whose hash is known.
func (v view) memberOf(hash uint32, name []byte) (kid view, listed bool) {
	if !v.Known() {
		return view{}, false
	}
	s, listed := v.MemberHashed(name, hash)
	return viewOf(s), listed
}

// item is the view of an element.
func (v view) item(i int) view {
	if !v.Known() {
		return view{}
	}
	return viewOf(v.Item(i))
}

// may reports whether a value of one of the types may stand there.
func (v view) may(types schema.Types) bool { return v.types&types != 0 }

// takes reports whether v takes the text as a string.
func (v view) takes(text []byte) bool { return v.may(schema.String) && v.Text(text) }

// structured reports whether a value is an object, and nothing else but null.
func (v view) structured() bool {
	return v.may(schema.Object) && !v.may(schema.AllTypes&^(schema.Object|schema.Null))
}

// scalars are the types of what has no parts.
const scalars = schema.String | schema.Number | schema.Boolean
