package contract

// The words that stand for what may not be shown.
const (
	maskedUnknown    = "[unknown]"
	maskedUnreadable = `"[unreadable]"`
)

// RedactArgs renders parameters as JSON with every marked field replaced by its mark
// ("[secret]", "[personal]", "[card]"), for screens and reports. What the contract does
// not know is replaced too.
func (o *Operation) RedactArgs(a Args) []byte {
	out := make(map[string]any, len(a.tree))
	order := &Schema{Order: o.ParamNames()}
	for name, v := range a.tree {
		ss := []*Schema{}
		if q, ok := o.Param(name); ok {
			ss = append(ss, q.Schema)
		} else if o.body != nil {
			ss, _ = members(flatten([]*Schema{o.body}), name)
		}
		out[name] = mask(ss, v)
	}
	return render(out, order)
}

// RedactReply renders an answer in the same way. A body that cannot be read, or that
// the contract does not describe, is not shown at all.
func (o *Operation) RedactReply(status int, body []byte) []byte {
	s := o.Schema(status)
	v, err := readJSON(body, false)
	if s == nil || err != nil {
		return []byte(maskedUnreadable)
	}
	return render(mask([]*Schema{s}, v), s)
}

func render(v any, s *Schema) []byte {
	text, err := appendJSON(nil, v, []*Schema{s})
	if err != nil {
		return []byte(maskedUnreadable)
	}
	return text
}

// mask replaces marked and unknown values. Every alternative counts: a value is shown
// only if no shape of its field is marked.
func mask(ss []*Schema, v any) any {
	if len(ss) == 0 {
		return maskedUnknown
	}
	if data := strongest(ss); data != Plain && v != nil {
		return "[" + string(data) + "]"
	}
	parts := flatten(ss)
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name := range v {
			kids, _ := members(parts, name)
			if len(kids) == 0 && free(parts) {
				kids = openBelow
			}
			if len(kids) == 0 && !pathName(name) {
				name = maskedUnknown
				out[name] = maskedUnknown
				continue
			}
			out[name] = mask(kids, v[name])
		}
		return out
	case []any:
		items := elements(parts)
		if len(items) == 0 && free(parts) {
			items = openBelow
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = mask(items, v[i])
		}
		return out
	}
	return v
}
