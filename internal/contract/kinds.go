package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// idMark is x-sallyport.id: true for an id of no named kind, or the kind.
type idMark struct {
	is   bool
	kind string
}

// UnmarshalJSON reads true, false or a kind.
func (m *idMark) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte{'"'}) {
		m.is = true
		if err := json.Unmarshal(raw, &m.kind); err != nil || m.kind == "" {
			return fmt.Errorf("id %s; write true or the kind of object, such as payment-intent", raw)
		}
		return nil
	}
	if err := json.Unmarshal(raw, &m.is); err != nil {
		return fmt.Errorf("id %s; write true or the kind of object, such as payment-intent", raw)
	}
	return nil
}

// kindName: kinds are written as operations are.
func kindName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

func kindOf(s *Schema) string  { return s.Kind }
func grantOf(s *Schema) string { return s.Grants }

// oneKind is the kind of a place that several schemas speak of: that of those which name
// one, or none where they name different ones, because then nobody knows which it is.
func oneKind(ss []*Schema, of func(*Schema) string) string {
	kind := ""
	for _, s := range ss {
		switch k := of(s); {
		case k == "":
		case kind != "" && kind != k:
			return ""
		default:
			kind = k
		}
	}
	return kind
}
