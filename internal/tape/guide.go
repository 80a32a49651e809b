package tape

// Guide is what is known of texts before they are read: the names of objects' members, and
// which kinds of values fit at once. A guided reading looks a name up while it holds it, and
// judges a value while it knows its kind, so that nobody has to walk over the tape again but
// for what is left over. A Guide is for reading only.
type Guide struct {
	Rules   []Rule   // by number; rule 0 knows nothing, and all that is in its values
	Members []Member // of objects, those of one object together
	Slots   []uint16 // open addressing into an object's members: index+1; see NewGuide
	Text    []byte   // of names, the bytes from the 33rd on

	hashes []uint64 // while it is made: of one object's names
	taken  []uint32 // and the slots that a try has taken, by its number
	tries  uint32
}

// NewGuide begins a guide with so many rules, which know nothing yet.
func NewGuide(rules int) *Guide {
	// The first slot belongs to rules without names, and stays empty.
	return &Guide{Rules: make([]Rule, rules), Slots: make([]uint16, 1)}
}

// Act is what becomes of a value of some kind.
type Act uint32

// The acts.
const (
	Fits  Act = iota // nothing more to look at
	Wrong            // it does not fit
	Later            // another look decides; what is in it is not judged
	Enter            // what is in it is judged in the same reading
)

// Whole numbers have a kind of their own in Rule.Acts.
const wholeNumber = 8 + Number

// Rule is what is known of a value.
type Rule struct {
	judge
	Items uint32 // rule of the elements of an array that is entered

	// Of an object that is entered, or of a string with Values.
	Other    uint32 // rule of members that are not listed; Stray
	Required uint32 // how many members must be there
	Values   bool   // the names are strings that fit; no object is entered
	members  uint32 // first of Guide.Members
	count    uint32 // of them, below 65,536
	slots    uint32 // first of Guide.Slots
	mask     uint32 // of a slot's number: a power of two less one, not below the number of members; 0 without any
	shift    uint32 // which bits of a name's hash say the slot
	_        [2]uint32
}

// judge is what decides over most values. Every member has that of its rule beside its name,
// so that one look there is enough.
type judge struct {
	Acts  uint32 // an Act for every kind; see Set
	Short uint32 // strings of fewer bytes, as written, fit whatever Acts says
	Mark  uint32 // told with every value, if it is not 0
	rule  uint32 // whose judge it is
}

// Stray as Rule.Other: a member that is not listed is told as a stray.
const Stray = ^uint32(0)

// Set says what becomes of values of a kind; whole means numbers with the flag Whole.
func (r *Rule) Set(k Kind, whole bool, a Act) {
	if whole {
		k |= 8
	}
	r.Acts = r.Acts&^(3<<(2*k)) | uint32(a)<<(2*k)
}

// Act says what becomes of values of a kind that is no number.
func (r *Rule) Act(k Kind) Act { return Act(r.Acts>>(2*k)) & 3 }

// TakeNames makes r list what another rule of the same guide lists.
func (r *Rule) TakeNames(from *Rule) {
	r.Other, r.Required, r.members, r.count = from.Other, from.Required, from.members, from.count
	r.slots, r.mask, r.shift = from.slots, from.mask, from.shift
}

// Member is a name that an object lists. It fills a line of the processor's cache.
type Member struct {
	head [4]uint64 // the name's first 32 bytes, filled up with zeros
	judge
	size     uint32
	rest     uint32 // where the other bytes stand in Guide.Text
	Rule     uint32 // Stray: the name counts for Required only
	Required uint32 // 0 or 1
}

// AddNames adds an object's names to the guide, or with Rule.Values strings, and tells the rule
// where they are. ok is false where they are too many.
func (g *Guide) AddNames(r *Rule, names [][]byte, members []Member) (ok bool) {
	if len(names) >= 1<<16-1 {
		return false
	}
	r.members, r.count = uint32(len(g.Members)), uint32(len(names))
	if len(names) == 0 {
		return true
	}
	g.layOut(r, names)
	for k, name := range names {
		m := members[k]
		m.head, m.size, m.rest = heads(name), uint32(len(name)), uint32(len(g.Text))
		if len(name) > 32 {
			g.Text = append(g.Text, name[32:]...)
		}
		r.Required += m.Required
		g.Members = append(g.Members, m)
	}
	return true
}

// layOut finds a table and bits of the hash that give every name a slot of its own, so that
// to look one up needs no guess how long that will take; where there is none, names that
// meet stand one after the other.
func (g *Guide) layOut(r *Rule, names [][]byte) {
	g.hashes = g.hashes[:0]
	for _, name := range names {
		g.hashes = append(g.hashes, longHash(name))
	}
	size, shift := 4, uint32(0)
	for size < 2*len(names) {
		size *= 2
	}
	for most := 8 * size; size < most && !g.apart(size, &shift); {
		size *= 2
	}
	r.slots, r.mask, r.shift = uint32(len(g.Slots)), uint32(size-1), shift
	g.Slots = append(g.Slots, make([]uint16, size)...)
	slots := g.Slots[r.slots:]
	for k, h := range g.hashes {
		at := int(h>>shift) & (size - 1)
		for slots[at] != 0 {
			at = (at + 1) & (size - 1)
		}
		slots[at] = uint16(k + 1)
	}
}

// apart looks for bits of the hashes that differ for all of them.
func (g *Guide) apart(size int, shift *uint32) bool {
	if len(g.taken) < size {
		g.taken = make([]uint32, size)
	}
try:
	for s := range uint32(48) {
		g.tries++
		for _, h := range g.hashes {
			at := int(h>>s) & (size - 1)
			if g.taken[at] == g.tries {
				continue try
			}
			g.taken[at] = g.tries
		}
		*shift = s
		return true
	}
	return false
}

// Done ends the making of the guide, when every rule is known.
func (g *Guide) Done() {
	g.hashes, g.taken = nil, nil
	for k := range g.Rules {
		g.Rules[k].rule = uint32(k)
	}
	for k := range g.Members {
		if m := &g.Members[k]; m.Rule != Stray {
			m.judge = g.Rules[m.Rule].judge
		}
	}
}

// Visit is a node with what is to be done there: a rule, or a mark.
type Visit struct{ Node, What uint32 }

// Finds is what a guided reading found out. It is complete when the text was read.
type Finds struct {
	Wrong  bool     // a value does not fit
	Later  []Visit  // values with the rule that asks for another look
	Marked []Visit  // values with a mark
	Strays []uint32 // members that their object's rule does not know
}

func (f *Finds) clear() {
	f.Wrong, f.Later, f.Marked, f.Strays = false, f.Later[:0], f.Marked[:0], f.Strays[:0]
}

// unguided is the guide of a reading without one.
var unguided = NewGuide(1)
