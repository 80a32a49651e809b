package schema

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"sallyport/internal/schema/schematest"
	"sallyport/internal/tape"
)

// dispute is a schema and a value over which two judges disagree.
type dispute struct {
	mode   Mode
	stored bool
	schema any
	value  any
	ours   string
	theirs error
}

func (d dispute) String() string {
	return fmt.Sprintf("mode %d\nschema %s\nvalue  %s\nours:   %s\ntheirs: %v", d.mode, schematest.Text(d.schema), schematest.Text(d.value), d.ours, d.theirs)
}

// judges are our engine and the independent one with the same schema, each in its own words.
type judges struct {
	mode    Mode
	stored  bool
	program *Program
	id      ID
	oracle  *schematest.Oracle
}

// newJudges compiles a document for both; stored: ours is written and read back first. ok is false where the mode has no words in JSON Schema.
func newJudges(doc any, mode Mode, stored bool) (j judges, ok bool, err error) {
	theirs := doc
	switch mode {
	case Request:
		if theirs, ok = schematest.Close(doc); !ok {
			return j, false, nil
		}
	case Response:
		theirs = schematest.Open(doc)
	}
	text := new(tape.Tape)
	if err := text.Parse(schematest.Text(doc), tape.Limits{}); err != nil {
		return j, false, err
	}
	c := NewCompiler(text, "https://test.example/doc.json", Config{AssertFormats: true})
	if j.id, err = c.Compile(0); err != nil {
		return j, false, err
	}
	if j.program, err = c.Finish(); err != nil {
		return j, false, err
	}
	if stored {
		data, err := j.program.MarshalBinary()
		if err != nil {
			return j, false, err
		}
		program, ids, err := UnmarshalSubset(data, j.id)
		if err != nil {
			return j, false, err
		}
		j.program, j.id = program, ids[0]
	}
	j.mode, j.stored = mode, stored
	if j.oracle, err = schematest.NewOracle(theirs, schematest.OracleConfig{Formats: mode != Response, Translate: translatePattern}); err != nil {
		return j, false, err
	}
	if _, err = j.oracle.Compile(""); err != nil {
		return j, false, fmt.Errorf("the independent judge: %w", err)
	}
	return j, true, nil
}

// ours is our verdict.
func (j judges) ours(t testing.TB, value any) Verdict {
	v := new(tape.Tape)
	if err := v.Parse(schematest.Text(value), tape.Limits{}); err != nil {
		t.Fatalf("%s: %v", schematest.Text(value), err)
	}
	if j.mode == Response {
		sameRead(t, j.program, j.id, v.Src, tape.Limits{})
	}
	m := j.program.Get()
	defer m.Put()
	verdict := m.Check(v, 0, j.id, j.mode)
	if verdict == Invalid {
		explained(t, m, v)
		if again := m.Check(v, 0, j.id, j.mode); again != Invalid {
			t.Fatalf("%s is invalid, and after Explain %v", schematest.Text(value), again)
		}
	}
	if red := m.AppendRedacted(nil); !json.Valid(red) {
		t.Fatalf("%s is redacted to %s", schematest.Text(value), red)
	}
	return verdict
}

// explained holds the faults of an invalid value: there is one, each says something, and stands where its path leads.
func explained(t testing.TB, m *Machine, v *tape.Tape) {
	faults := m.Explain(Everything(), 20)
	if len(faults) == 0 || len(faults) > 20 {
		t.Fatalf("%s is invalid with %d faults", v.Src, len(faults))
	}
	for _, f := range faults {
		if f.Rule == "" || f.Want == "" || f.Node < 0 || f.Node >= len(v.Nodes) {
			t.Fatalf("%s: fault %+v", v.Src, f)
		}
	}
}

// differ gives the dispute over a value, if there is one.
func (j judges) differ(t testing.TB, doc, value any) (*dispute, bool) {
	verdict := j.ours(t, value)
	theirs := j.oracle.Why("", value)
	if (verdict == Valid) == (theirs == nil) && verdict != TooComplex {
		return nil, verdict == Valid
	}
	return &dispute{j.mode, j.stored, doc, value, verdict.String(), theirs}, false
}

// smaller looks for a smaller schema and value with the same dispute.
func (d *dispute) smaller(t testing.TB) *dispute {
	still := func(doc, value any) (found *dispute) {
		defer func() {
			if recover() != nil { // a cut made something that is no schema
				found = nil
			}
		}()
		j, ok, err := newJudges(doc, d.mode, d.stored)
		if !ok || err != nil {
			return nil
		}
		found, _ = j.differ(t, doc, value)
		return found
	}
	schema := schematest.Shrink(d.schema, 2000, func(s any) bool { return still(s, d.value) != nil })
	value := schematest.Shrink(d.value, 1000, func(v any) bool { return still(schema, v) != nil })
	schema = schematest.Shrink(schema, 2000, func(s any) bool { return still(s, value) != nil })
	if small := still(schema, value); small != nil {
		return small
	}
	return d
}

// torture scales loops up where SALLYPORT_TORTURE is set.
func torture(short, long int) int {
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		return long
	}
	return short
}

// tryDifferential compares verdicts over one random schema and gives how many values were valid and invalid.
func tryDifferential(t testing.TB, seed uint64, mode Mode, values int) (valid, invalid int) {
	g := schematest.New(seed)
	g.Translate = translatePattern
	g.Limit = 150 // the judge remembers nothing: larger values take it seconds where references go in circles
	g.Dynamic = mode != Request
	g.Whole, g.Typed = mode == Request, mode == Request && seed%4 != 0
	doc := any(g.Schema())
	j, ok, err := newJudges(doc, mode, seed%3 == 0)
	if err != nil {
		t.Fatalf("seed %d: %s: %v", seed, schematest.Text(doc), err)
	}
	if !ok {
		return 0, 0
	}
	for i := range values {
		value := g.Value(4, doc)
		if i%4 == 3 {
			value = g.Change(value)
		}
		d, fits := j.differ(t, doc, value)
		if d != nil {
			t.Fatalf("seed %d: %s\nas it was: %s", seed, d.smaller(t), d)
		}
		if fits {
			valid++
		} else {
			invalid++
		}
	}
	return valid, invalid
}

// TestAgreesWithAnIndependentJudge compares verdicts over random schemas and values, in each
// mode, with a validator that shares no code with ours.
func TestAgreesWithAnIndependentJudge(t *testing.T) {
	for _, mode := range []Mode{Strict, Request, Response} {
		schemas, valid, invalid := 0, 0, 0
		for seed := range uint64(torture(120, 20_000)) {
			v, i := tryDifferential(t, seed*3+uint64(mode), mode, 12)
			valid, invalid = valid+v, invalid+i
			if v+i > 0 {
				schemas++
			}
		}
		t.Logf("mode %d: %d schemas, %d values valid, %d invalid", mode, schemas, valid, invalid)
		if valid*9 < invalid || invalid*9 < valid {
			t.Errorf("mode %d: the values are too one-sided to show anything: %d valid, %d invalid", mode, valid, invalid)
		}
	}
}

func FuzzAgreesWithAnIndependentJudge(f *testing.F) {
	f.Add(uint64(1), uint8(0))
	f.Add(uint64(2), uint8(1))
	f.Add(uint64(3), uint8(2))
	f.Fuzz(func(t *testing.T, seed uint64, mode uint8) {
		tryDifferential(t, seed, Mode(mode%3), 8)
	})
}
