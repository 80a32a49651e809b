package provider

import (
	"fmt"
	"slices"

	"sallyport/internal/contract"
)

// Guards are the facts that abuse guards go by: which calls try a card, which send a
// message and to whom, which complete what a visitor types.
type Guards struct {
	Cards        []CardFacts         `json:"cards,omitempty"`
	Messages     []MessageFacts      `json:"messages,omitempty"`
	Autocomplete []AutocompleteFacts `json:"autocomplete,omitempty"`
	// Defaults are values that the gate inserts for a browser where the file leaves them open.
	Defaults []Default `json:"defaults,omitempty"`
	// Priced are parameters that decide the price of a call: a browser never chooses them freely.
	Priced []Priced `json:"priced,omitempty"`
}

// CardFacts say which calls try a card, and how an outcome looks.
type CardFacts struct {
	Attempts []string `json:"attempts"`           // operations that try a card, or open the way to trying some
	Outcomes []string `json:"outcomes,omitempty"` // operations that only tell how an attempt ended
	Declined []Told   `json:"declined"`
	Approved []Told   `json:"approved,omitempty"`
	Source   string   `json:"source"`
	Date     string   `json:"date"`
}

// Told finds something in an answer: all that is given must hold.
type Told struct {
	Status int      `json:"status,omitempty"` // HTTP status; 0: any
	Field  string   `json:"field,omitempty"`  // path in the JSON body
	In     []string `json:"in,omitempty"`     // values of the field, as text
	// Once is the path of an id: what is told with the same id again is not news.
	Once string `json:"once,omitempty"`
}

// MessageFacts say which calls send something to a telephone number or an e-mail address.
type MessageFacts struct {
	Operations []string `json:"operations"`
	To         string   `json:"to"` // parameter path; [] for each element
	// Country is the parameter that names the country of a national number.
	Country string `json:"country,omitempty"`
	// Code is set where what is sent is a code that the visitor enters through the gate.
	Code   *CodeFacts `json:"code,omitempty"`
	Source string     `json:"source"`
	Date   string     `json:"date"`
}

// CodeFacts say how a code is checked.
type CodeFacts struct {
	ID      string `json:"id,omitempty"` // of the verification, in the answer of the sending call
	Check   string `json:"check"`        // the operation that checks what was entered
	CheckTo string `json:"check_to,omitempty"`
	CheckID string `json:"check_id,omitempty"`
	Entered []Told `json:"entered"` // the code was right
}

// AutocompleteFacts say which call completes what is typed, and how its calls are billed together.
type AutocompleteFacts struct {
	Operation string   `json:"operation"`
	Input     string   `json:"input"`
	Token     string   `json:"token"`
	ClosedBy  []Closes `json:"closed_by"`
	Source    string   `json:"source"`
	Date      string   `json:"date"`
}

// Closes is a call that ends a search when it carries its token.
type Closes struct {
	Operation string `json:"operation"`
	Token     string `json:"token"`
}

// Default is a value for a parameter that neither the file nor the browser gives.
type Default struct {
	Operations []string `json:"operations"`
	Parameter  string   `json:"parameter"`
	Value      any      `json:"value"`
	// Unless are parameters that say the same in another way.
	Unless []string `json:"unless,omitempty"`
	Why    string   `json:"why"`
	Source string   `json:"source"`
	Date   string   `json:"date"`
}

// Priced is a parameter that decides the price.
type Priced struct {
	Operations []string `json:"operations"`
	Parameter  string   `json:"parameter"`
	Source     string   `json:"source"`
	Date       string   `json:"date"`
}

// CardsOf are the card facts that concern an operation; attempt: it tries a card.
func (g *Guards) CardsOf(operation string) (facts *CardFacts, attempt bool) {
	for i := range g.Cards {
		f := &g.Cards[i]
		if slices.Contains(f.Attempts, operation) {
			return f, true
		}
		if slices.Contains(f.Outcomes, operation) {
			return f, false
		}
	}
	return nil, false
}

// MessagesOf are the facts of an operation that sends messages, or nil.
func (g *Guards) MessagesOf(operation string) *MessageFacts {
	for i := range g.Messages {
		if slices.Contains(g.Messages[i].Operations, operation) {
			return &g.Messages[i]
		}
	}
	return nil
}

// CodesCheckedBy are the facts of the codes that an operation checks, or nil.
func (g *Guards) CodesCheckedBy(operation string) *MessageFacts {
	for i := range g.Messages {
		if c := g.Messages[i].Code; c != nil && c.Check == operation {
			return &g.Messages[i]
		}
	}
	return nil
}

// DefaultsOf are the default values of an operation.
func (g *Guards) DefaultsOf(operation string) []Default {
	var out []Default
	for _, d := range g.Defaults {
		if slices.Contains(d.Operations, operation) {
			out = append(out, d)
		}
	}
	return out
}

// PricedOf are the parameters of an operation that decide its price.
func (g *Guards) PricedOf(operation string) []string {
	var out []string
	for _, p := range g.Priced {
		if slices.Contains(p.Operations, operation) {
			out = append(out, p.Parameter)
		}
	}
	return out
}

func (p *Pack) checkGuards(f *faults) {
	for i, c := range p.Guards.Cards {
		where := fmt.Sprintf("guards.cards[%d]", i)
		p.needOps(f, where+".attempts", c.Attempts)
		p.checkOps(f, where+".outcomes", c.Outcomes)
		if len(c.Declined) == 0 {
			f.add("%s.declined: nothing tells a declined card", where)
		}
		checkTold(f, where+".declined", c.Declined)
		checkTold(f, where+".approved", c.Approved)
		f.text(where+".source", c.Source)
		f.day(where+".date", c.Date)
	}
	for i, m := range p.Guards.Messages {
		p.checkMessages(f, fmt.Sprintf("guards.messages[%d]", i), m)
	}
	for i, a := range p.Guards.Autocomplete {
		where := fmt.Sprintf("guards.autocomplete[%d]", i)
		ops := []string{a.Operation}
		p.needOps(f, where+".operation", ops)
		p.checkParam(f, where+".input", ops, a.Input)
		p.checkParam(f, where+".token", ops, a.Token)
		for k, c := range a.ClosedBy {
			at := fmt.Sprintf("%s.closed_by[%d]", where, k)
			p.needOps(f, at+".operation", []string{c.Operation})
			p.checkParam(f, at+".token", []string{c.Operation}, c.Token)
		}
		f.text(where+".source", a.Source)
		f.day(where+".date", a.Date)
	}
	p.checkDefaults(f)
}

func (p *Pack) checkMessages(f *faults, where string, m MessageFacts) {
	p.needOps(f, where+".operations", m.Operations)
	p.checkParam(f, where+".to", m.Operations, m.To)
	if m.Country != "" {
		p.checkParam(f, where+".country", m.Operations, m.Country)
	}
	if c := m.Code; c != nil {
		check := []string{c.Check}
		p.needOps(f, where+".code.check", check)
		if c.CheckTo != "" {
			p.checkParam(f, where+".code.check_to", check, c.CheckTo)
		}
		if c.CheckID != "" {
			p.checkParam(f, where+".code.check_id", check, c.CheckID)
		}
		if c.CheckTo == "" && (c.CheckID == "" || c.ID == "") {
			f.add("%s.code: write check_to, or id and check_id: else nobody knows which code was entered", where)
		}
		if len(c.Entered) == 0 {
			f.add("%s.code.entered: nothing tells that a code was right", where)
		}
		checkTold(f, where+".code.entered", c.Entered)
	}
	f.text(where+".source", m.Source)
	f.day(where+".date", m.Date)
}

func (p *Pack) checkDefaults(f *faults) {
	for i, d := range p.Guards.Defaults {
		where := fmt.Sprintf("guards.defaults[%d]", i)
		p.needOps(f, where+".operations", d.Operations)
		p.checkParam(f, where+".parameter", d.Operations, d.Parameter)
		for _, u := range d.Unless {
			p.checkParam(f, where+".unless", d.Operations, u)
		}
		p.checkDefaultValue(f, where, d)
		f.text(where+".why", d.Why)
		f.text(where+".source", d.Source)
		f.day(where+".date", d.Date)
	}
	for i, q := range p.Guards.Priced {
		where := fmt.Sprintf("guards.priced[%d]", i)
		p.needOps(f, where+".operations", q.Operations)
		p.checkParam(f, where+".parameter", q.Operations, q.Parameter)
		f.text(where+".source", q.Source)
		f.day(where+".date", q.Date)
	}
}

// checkDefaultValue holds a value against the contract of each operation that gets it.
func (p *Pack) checkDefaultValue(f *faults, where string, d Default) {
	path, err := contract.ParsePath(d.Parameter)
	if err != nil || p.contract == nil {
		return
	}
	for _, id := range d.Operations {
		op, ok := p.contract.Find(id)
		if !ok || !op.Loaded() {
			continue
		}
		args := contract.NewArgs(nil)
		if err := args.Set(path, d.Value); err != nil {
			f.add("%s.value: %v", where, err)
			continue
		}
		for _, fault := range op.Check(args) {
			if at, err := contract.ParsePath(fault.Where); err == nil && path.Covers(at) {
				f.add("%s.value: %s: found %s; write %s", where, fault.Where, fault.Found, fault.Want)
			}
		}
	}
}

// needOps is checkOps for a list that must not be empty.
func (p *Pack) needOps(f *faults, where string, ops []string) {
	if len(ops) == 0 {
		f.add("%s: none given", where)
	}
	p.checkOps(f, where, ops)
}

// checkParam holds a parameter path against the contract.
func (p *Pack) checkParam(f *faults, where string, ops []string, name string) {
	path, err := contract.ParsePath(name)
	if err != nil {
		f.add("%s: %v", where, err)
		return
	}
	for _, id := range ops {
		if p.contract == nil {
			return
		}
		op, ok := p.contract.Find(id)
		if !ok || !op.Loaded() {
			continue // told by checkOps
		}
		if s, err := op.Lookup(path); err != nil || s == nil {
			f.add("%s: %s has no parameter %s", where, id, name)
		}
	}
}

func checkTold(f *faults, where string, list []Told) {
	for i, t := range list {
		at := fmt.Sprintf("%s[%d]", where, i)
		if t.Status == 0 && t.Field == "" {
			f.add("%s: no condition; every answer would be meant", at)
		}
		if t.Field != "" {
			checkPath(f, at+".field", t.Field)
			if len(t.In) == 0 {
				f.add("%s.in: no value of %s is given", at, t.Field)
			}
		}
		if t.Once != "" {
			checkPath(f, at+".once", t.Once)
		}
	}
}
