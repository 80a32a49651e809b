package config

// kind is the shape that a key's value must have.
type kind int

const (
	kindText   kind = iota + 1
	kindSecret      // a reference to a secret, never the secret
	kindWhole       // whole number
	kindShare       // number from 0 to 1
	kindSwitch      // true or false
	kindList        // of item; one value may stand for a list where single is set
	kindObject      // of keys
	kindTable       // of free names, each an item
	kindAny         // any value: the contract decides
)

// key is one row of the table of keys: what may stand in the file, what it means, and what to write
// when something else stands there. Decoding, the JSON Schema and the reference read the same rows.
type key struct {
	name     string
	kind     kind
	doc      string   // one or two sentences of Markdown
	want     string   // what to write, as it follows "write …"
	def      string   // the default, as documentation shows it
	example  string   // one line of YAML for the value
	required bool     //
	enum     []string // text: the only values
	pattern  string   // text: RE2
	most     int64    // whole: the largest value; 0: none
	keys     []*key   // object
	item     *key     // list and table
	names    string   // table: RE2 of its names
	namesAre string   // table: what its names are, for documentation: SITE
	single   bool     // list: one value may stand for a list
	or       *key     // another shape that may stand instead
	parsed   bool     // text: the builder reads it and names faults better than the pattern could
	later    string   // not in this version: the reason and the way without it
	// laterValues are prefixes of values that are not in this version, with the way without them.
	laterValues map[string]string
}

// shape names what kind of value is wanted, in a word.
func (k *key) shape() string {
	switch k.kind {
	case kindText:
		return string(text)
	case kindWhole:
		return string(whole)
	case kindShare:
		return "a number"
	case kindSwitch:
		return string(boolean)
	case kindList:
		return string(list)
	}
	return string(mapping)
}

// find looks a key up among the keys of an object.
func (k *key) find(name string) *key {
	for _, sub := range k.keys {
		if sub.name == name {
			return sub
		}
	}
	return nil
}

// accepts says which forms a value of this key may have.
func (k *key) accepts(v *value) bool {
	switch k.kind {
	case kindText:
		return v.form == text
	case kindWhole:
		return v.form == whole
	case kindShare:
		return v.form == whole || v.form == decimal
	case kindSwitch:
		return v.form == boolean
	case kindList:
		return v.form == list || k.single && k.item.accepts(v)
	case kindObject, kindTable:
		return v.form == mapping
	case kindAny:
		return true
	}
	return false
}

// noun names the shape in a fault.
func (k *key) noun() string {
	if k.want != "" {
		return k.want
	}
	switch k.kind {
	case kindText:
		return "text"
	case kindWhole:
		return "a whole number"
	case kindShare:
		return "a number from 0 to 1"
	case kindSwitch:
		return "true or false"
	case kindList:
		return "a list, for instance [" + k.item.sample() + "]"
	case kindObject, kindTable:
		return "`key: value` lines, indented below it"
	}
	return "a value"
}

func (k *key) sample() string {
	if k.example != "" {
		return k.example
	}
	return "…"
}
