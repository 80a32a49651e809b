package bodies

import (
	"fmt"
	"strconv"
	"strings"

	"sallyport/internal/tape"
)

// HostileBody is one that is made to cost its reader time or memory.
type HostileBody struct {
	Name string
	Text []byte
	List bool // against the list of PaymentIntents, not one
}

// Hostile gives bodies of about size bytes each.
func Hostile(size int) []HostileBody {
	fill := func(before, piece, after string) []byte {
		return []byte(before + strings.Repeat(piece, max(0, (size-len(before)-len(after))/len(piece))) + after)
	}
	names := func(n int, name func(i int) string) []byte {
		var b strings.Builder
		pad := strings.Repeat("x", max(0, size/n-24))
		for i := range n {
			fmt.Fprintf(&b, "%c%q:%q", "{,"[min(i, 1)], name(i), pad)
		}
		return []byte(b.String() + "}")
	}
	plain := func(i int) string { return "name_" + strconv.Itoa(i) }
	known := `{"object":"list","url":"/v1/payment_intents","has_more":false,"data":`
	nested := `{"a":` + strings.Repeat("[", 62) + "1" + strings.Repeat("]", 62) + `}`
	return []HostileBody{
		{"10,000 unknown names", names(10_000, plain), false},
		{"100,000 names in one object", names(100_000, plain), false},
		{"objects of eight members", rows(size, `{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8}`), false},
		{"10,000 names that collide in our hash", names(10_000, colliding()), false},
		{"10,000 entries of metadata", append(append([]byte(`{"metadata":`), names(10_000, plain)...), '}'), false},
		{"one string", fill(`{"description":"`, "a", `"}`), false},
		{"one string of escapes", fill(`{"description":"`, `\u00e9`, `"}`), false},
		{"one string beyond ASCII", fill(`{"description":"`, "漢", `"}`), false},
		{"a string without an end", fill(`{"description":"`, "a", ``), false},
		{"one name", fill(`{"`, "a", `":1}`), false},
		{"one number", fill(`{"amount":`, "1", `}`), false},
		{"only opening brackets", fill("", "[", ""), false},
		{"nested to the bound, again and again", fill("[", nested+",", "0]"), false},
		{"small arrays", rows(size, "[]"), false},
		{"small objects", rows(size, `{"a":1}`), false},
		{"escaped names", rows(size, `{"\u0061\u0062":1}`), false},
		{"white space", fill("{", " \n", "}"), false},
		{"unknown members in every element of a known list", append(append([]byte(known), rows(size, `{"x":{"y":[0]}}`)...), '}'), true},
		{"alternatives in alternatives", alternatives(known, size), true},
	}
}

// rows holds small values in arrays that stay within the bound of elements.
func rows(size int, value string) []byte {
	most := min(8_000, size/len(value)/2)
	row := "[" + strings.Repeat(value+",", most) + value + "]"
	return []byte("[" + strings.Repeat(row+",", max(0, size/len(row)-1)) + row + "]")
}

// colliding gives names whose hashes share their lower ten bits.
func colliding() func(int) string {
	next := 0
	return func(int) string {
		for {
			if name := "k" + strconv.Itoa(next); tape.Hash(name)&0x3ff == 0 {
				next++
				return name
			}
			next++
		}
	}
}

// alternatives nests a PaymentIntent in its own charge: both stand for each other in anyOf,
// beside a string, at every level.
func alternatives(before string, size int) []byte {
	const levels = 30
	chain := strings.Repeat(`{"object":"payment_intent","latest_charge":{"object":"charge","payment_intent":`, levels) + `"pi_1"` + strings.Repeat("}}", levels)
	return []byte(before + "[" + strings.Repeat(chain+",", max(0, size/len(chain)-1)) + chain + "]}")
}
