package schema

import (
	"sync"

	"sallyport/internal/tape"
)

// Program is a set of compiled schemas. All of it lies in a few flat tables that refer to
// each other by index, so that it is written to disk and read back as it is and gives the
// garbage collector nothing to follow. It is immutable and safe for concurrent use.
type Program struct {
	nodes    []node
	enums    []enumRule
	strs     []strRule
	nums     []numRule
	arrs     []arrRule
	objs     []objRule
	exts     []extRule
	combs    []comb
	alts     []altRule
	branches []branch
	tags     []tagValue
	props    []prop
	slots    []uint32  // open addressing into props: index+1
	texts    []span    // strings of enums, names of required, patterns' sources …
	ids      []ID      // lists of schemas
	keyed    []keyedID // patternProperties, dependentSchemas, dynamic anchors by resource
	lists    []listRef // dependentRequired
	anchors  []anchor  // dynamic ones
	text     []byte    // what spans point into
	roots    []ID

	flags    programFlags
	patterns []*pattern // by index; sources are texts
	patSrc   []span
	formats  []span     // names, in the order of first use
	check    []formatID // the rule of each
	values   *tape.Tape // one array of all values of enums that are no strings
	valueSrc []byte
	valueAt  []uint32 // nodes of values

	xmls   []xmlRule // sorted by id
	shapes shapes

	guideOnce sync.Once
	guided    *tape.Guide
	machines  sync.Pool
}

type programFlags struct {
	AssertFormats bool
	Dynamic       bool // there are $dynamicRefs
	Unevaluated   bool // there are unevaluatedProperties or unevaluatedItems
	Marked        bool // something is sensitive
}

// span is a part of Program.text.
type span struct{ off, end uint32 }

func (p *Program) str(s span) []byte { return p.text[s.off:s.end:s.end] }

// node is one schema. An index of 0 means that the rule is absent.
type node struct {
	types Types
	plain Types // of these types every value fits, with nothing more to look at
	mark  Mark  // with the marks of all parts and alternatives
	_     uint8
	flags nodeFlags
	enum  uint32
	str   uint32
	num   uint32
	arr   uint32
	obj   uint32
	comb  uint32 // first of combs
	combs uint32 // how many
	scope uint32 // resource whose dynamic scope it opens
	short uint32 // strings of fewer bytes, as written, fit
}

type nodeFlags uint32

const (
	nullWins    nodeFlags = 1 << iota // nullable: true
	opens                             // says nothing (or only const or enum): everything below is known
	speaks                            // says something about members or elements
	composed                          // has parts, unevaluated*, or anything that needs the slower way
	memoised                          // a verdict on a container is kept
	unevaluated                       // has unevaluatedProperties or unevaluatedItems
	reaches                           // something sensitive stands here or below
	scoped                            // opens a dynamic scope
	shares                            // several parts may look at the same member
)

// enumRule holds the values of enum or const.
type enumRule struct {
	types    Types // null and booleans are decided by the two masks
	bools    uint8 // 1: false, 2: true
	isConst  bool
	strs     uint32 // texts
	strCount uint32
	nums     uint32 // texts
	numCount uint32
	trees    uint32 // ids: nodes of values
	treeN    uint32
	shown    uint32 // ids: all values, as nodes of values, in the document's order
	shownN   uint32
}

const noLimit = ^uint32(0)

// strRule is about strings. Lengths are in code points.
type strRule struct {
	min, max uint32
	pattern  uint32 // patterns, index+1
	format   uint32 // formats, index+1
}

// numRule is about numbers.
type numRule struct {
	flags    numFlags
	lowInt   int64 // where lowSmall
	highInt  int64 // where highSmall
	lowText  span
	highText span
	multiple span
	format   uint32 // formats, index+1
}

type numFlags uint8

const (
	hasLow numFlags = 1 << iota
	lowSmall
	aboveLow // the bound itself is excluded
	hasHigh
	highSmall
	belowHigh
	hasMultiple
)

// arrRule is about arrays.
type arrRule struct {
	min, max     uint32
	prefix       uint32 // ids
	prefixN      uint32
	items        ID
	hasItems     bool
	unique       bool
	hasContains  bool
	uneval       bool // unevaluatedItems
	contains     ID
	minContains  uint32
	maxContains  uint32
	unevaluatedI ID
}

// objRule is about objects.
type objRule struct {
	props    uint32 // first of props, in the document's order
	propsEnd uint32
	slots    uint32 // first slot
	mask     uint32 // slots-1; noLimit: no table
	required uint32 // how many of props are required
	min, max uint32
	ext      uint32
	other    ID // additionalProperties
	hasOther bool
}

// prop is a member that properties lists or required names.
type prop struct {
	hash     uint32
	name     span
	id       ID
	short    uint32 // these three as in the schema, to save the way to it
	plain    Types
	mark     Mark
	listed   bool // by properties
	required bool
}

// extRule is what few objects need.
type extRule struct {
	patterns   uint32 // keyed: index of the pattern
	patternsN  uint32
	names      ID
	hasNames   bool
	uneval     bool
	unevalP    ID
	dependent  uint32 // lists
	dependentN uint32
}

// keyedID is a schema under a number.
type keyedID struct {
	key uint32
	id  ID
}

// anchor is a $dynamicAnchor.
type anchor struct {
	resource, name uint32
	id             ID
}

// listRef is a name with names that it requires.
type listRef struct {
	name  span
	names uint32 // texts
	n     uint32
}

// comb is a keyword that applies other schemas to the same value.
type comb struct {
	op      combOp
	a, b, c uint32
}

type combOp uint8

const (
	opAll     combOp = iota + 1 // a: schema ($ref, a part of allOf)
	opAny                       // a: alts
	opOne                       // a: alts
	opNot                       // a: schema
	opIf                        // a: if, b: then, c: else
	opDynamic                   // a: schema found without scope, b: number of the name
	opDepends                   // a: texts (a name), b: schema
)

// altRule is anyOf or oneOf.
type altRule struct {
	branches uint32
	n        uint32
	tag      span // the member that tells branches apart; empty: none
	tagHash  uint32
	tags     uint32 // tags, sorted by text
	tagsN    uint32
	absent   uint64 // branches that allow the tag to be absent
	other    uint64 // branches that say nothing about the tag's value
	disc     span   // discriminator.propertyName; empty: none
	mapping  uint32 // keyed: text, with the number of the branch
	mappingN uint32
}

// branch is one alternative.
type branch struct {
	id    ID
	types Types // of values that can fit
}

// tagValue is a value of the tag, with the branches that it may belong to.
type tagValue struct {
	value span
	mask  uint64
}

// Types is the set of types that the schema itself names; see Shape for all parts.
func (p *Program) Types(id ID) Types { return p.nodes[id].types }

// Len is the number of schemas, for statistics.
func (p *Program) Len() int { return len(p.nodes) }
