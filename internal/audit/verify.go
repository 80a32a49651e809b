package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	f_log "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

// Anchor is what somebody kept elsewhere, against which the log is checked. Without
// one, Verify cannot tell a log from an older copy of itself, or from one that
// somebody with the signing key has made anew.
type Anchor struct {
	// Checkpoint is an earlier signed checkpoint; nil means none.
	Checkpoint []byte
	// PublicKey is the verifier key that must have signed; empty means that of the log.
	PublicKey string
}

// Report is what Verify found.
type Report struct {
	Entries    ID    `json:"entries"` // in the log, those not yet in the tree included
	InTree     ID    `json:"in_tree"`
	Checkpoint ID    `json:"checkpoint"` // covered by the signed checkpoint
	WALFrom    ID    `json:"wal_from"`
	Intents    int64 `json:"intents"`
	Outcomes   int64 `json:"outcomes"`
	Events     int64 `json:"events"`
	// Open are intents without an outcome, at most 20 of OpenCount: calls in flight,
	// or orphans that the next start of the gate closes as unknown.
	Open      []ID `json:"open,omitempty"`
	OpenCount int  `json:"open_count"`
	// Faults is empty if and only if the log is what it was written as.
	Faults []Fault `json:"faults"`
	// Notes are facts that an operator should know and that break nothing.
	Notes     []string `json:"notes,omitempty"`
	PublicKey string   `json:"public_key"`
	// Signed is the present checkpoint, to be kept elsewhere as the next Anchor.
	Signed string `json:"signed_checkpoint"`
}

// Fault is one thing that is not as the log wrote it.
type Fault struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

// OK reports whether no fault was found.
func (r *Report) OK() bool { return len(r.Faults) == 0 }

const maxFaults = 100

// verifier collects while the log is walked once.
type verifier struct {
	dir    string
	anchor Anchor
	report *Report
	key    note.Verifier

	state   treeState
	signed  *f_log.Checkpoint
	earlier *f_log.Checkpoint // the anchor's

	open    map[ID]bool
	next    ID // of the entry that follow expects
	retired ID
	lost    []span // entries that wal-damaged events admit to be in the tree only
	wal     walContent
}

type span struct{ from, to ID }

// Verify checks the log in dir from the bytes up: key, signed checkpoint, every
// entry, every tile, the write-ahead log against the tree, sequence numbers, and that
// each outcome belongs to one intent. It works beside a running gate, changes
// nothing, and uses none of the code that writes. The error says that it could not
// look; what it saw is in the Report.
func Verify(dir string, a Anchor) (*Report, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("verify audit log: %w", err)
	}
	v := &verifier{dir: dir, anchor: a, report: &Report{Faults: []Fault{}}, open: map[ID]bool{}}
	v.checkKeys()
	v.readCheckpoints() // before the state, which is before the write-ahead log: a
	v.readState()       // running gate makes the later ones longer, never shorter
	v.readWAL()
	if v.report.OK() || v.state.Size > 0 {
		v.checkTree()
	}
	v.followTail()
	v.checkWAL()
	v.checkDir()
	v.finish()
	return v.report, nil
}

func (v *verifier) fault(where, format string, args ...any) {
	if len(v.report.Faults) < maxFaults {
		v.report.Faults = append(v.report.Faults, Fault{Where: where, What: fmt.Sprintf(format, args...)})
	}
}

func (v *verifier) note(format string, args ...any) {
	if len(v.report.Notes) < maxFaults {
		v.report.Notes = append(v.report.Notes, fmt.Sprintf(format, args...))
	}
}

// checkKeys reads the public key and, where it may, checks the private one against it.
func (v *verifier) checkKeys() {
	public := v.publicKey()
	if public == "" {
		return
	}
	v.report.PublicKey = public
	private, err := os.ReadFile(filepath.Join(v.dir, keyFile))
	switch {
	case missing(err), errors.Is(err, os.ErrPermission):
		v.note("the signing key %s could not be read, so it was not compared with %s", keyFile, publicFile)
	case err != nil:
		v.fault(keyFile, "cannot be read: %v", err)
	default:
		s := strings.TrimSuffix(string(private), "\n")
		got, err := publicOf(s)
		if err != nil || got != public || s+"\n" != string(private) || !canonicalPrivate(s, public) {
			v.fault(keyFile, "is not the signing key that belongs to %s", publicFile)
		}
	}
	key, err := note.NewVerifier(public)
	if err != nil || !canonicalPublic(public) {
		v.fault(publicFile, "is not a verifier key in the form that the log writes")
		return
	}
	v.key = key
}

func (v *verifier) publicKey() string {
	raw, err := os.ReadFile(filepath.Join(v.dir, publicFile))
	if err != nil {
		v.fault(publicFile, "cannot be read: %v", err)
		return v.anchor.PublicKey
	}
	public := strings.TrimSuffix(string(raw), "\n")
	if public+"\n" != string(raw) {
		v.fault(publicFile, "is not in the form that the log writes")
	}
	if v.anchor.PublicKey != "" && public != strings.TrimSpace(v.anchor.PublicKey) {
		v.fault(publicFile, "is not the public key that was given")
		return strings.TrimSpace(v.anchor.PublicKey)
	}
	return public
}

// canonicalPublic reports whether the verifier key is spelled as it was written:
// base64 and hexadecimal have several spellings.
func canonicalPublic(public string) bool {
	parts := strings.SplitN(public, "+", 3)
	if len(parts) != 3 {
		return false
	}
	b, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(b) != 1+ed25519.PublicKeySize {
		return false
	}
	again, err := note.NewEd25519VerifierKey(parts[0], b[1:])
	return err == nil && again == public
}

// canonicalPrivate reports whether the parts of the private key that do not make the
// public one (its key hash) are spelled as they were written.
func canonicalPrivate(private, public string) bool {
	p, q := strings.SplitN(private, "+", 5), strings.SplitN(public, "+", 3)
	if len(p) != 5 || len(q) != 3 {
		return false
	}
	b, err := base64.StdEncoding.DecodeString(p[4])
	return err == nil && base64.StdEncoding.EncodeToString(b) == p[4] && p[2] == q[0] && p[3] == q[1]
}

func (v *verifier) readCheckpoints() {
	if v.key == nil {
		return
	}
	raw, err := os.ReadFile(filepath.Join(v.dir, "tree", "checkpoint"))
	if err != nil {
		v.fault("tree/checkpoint", "cannot be read: %v", err)
	} else if v.signed = v.readCheckpoint("tree/checkpoint", raw); v.signed != nil {
		v.report.Checkpoint, v.report.Signed = ID(v.signed.Size), string(raw)
	}
	if v.anchor.Checkpoint != nil {
		v.earlier = v.readCheckpoint("the given checkpoint", v.anchor.Checkpoint)
	}
}

// readCheckpoint accepts exactly the bytes that the log writes: one signature, in the
// only spelling of it.
func (v *verifier) readCheckpoint(where string, raw []byte) *f_log.Checkpoint {
	cp, _, n, err := f_log.ParseCheckpoint(raw, v.key.Name(), v.key)
	if err != nil {
		v.fault(where, "is not a checkpoint signed by the log's key: %v", err)
		return nil
	}
	text := f_log.Checkpoint{Origin: cp.Origin, Size: cp.Size, Hash: cp.Hash}.Marshal()
	if len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		v.fault(where, "has signatures that the log did not make")
		return nil
	}
	_, err = base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64)
	whole := string(text) + "\n— " + n.Sigs[0].Name + " " + n.Sigs[0].Base64 + "\n"
	if err != nil || whole != string(raw) {
		v.fault(where, "is not in the form that the log writes")
		return nil
	}
	return cp
}

func (v *verifier) readState() {
	state, err := readTreeState(filepath.Join(v.dir, "tree"))
	if err != nil {
		v.fault("tree/.state/treeState", "%v", err)
		if v.signed != nil { // go on with what the checkpoint says
			v.state = treeState{Size: v.signed.Size, Root: v.signed.Hash}
		}
		return
	}
	v.state = state
	v.report.InTree = ID(state.Size)
	if v.signed != nil && v.signed.Size > state.Size {
		v.fault("tree/.state/treeState", "has %d entries, but %d are signed for", state.Size, v.signed.Size)
	}
	if v.earlier != nil && v.earlier.Size > state.Size {
		v.fault("tree", "has %d entries, but the given checkpoint is of %d: entries were taken away", state.Size, v.earlier.Size)
	}
}

// follow takes the entries in order and checks what one says of others.
func (v *verifier) follow(where string, payload []byte) {
	e, err := decode(payload)
	if err != nil {
		v.fault(where, "%v", err)
		v.next++
		return
	}
	if e.Seq != v.next {
		v.fault(where, "entry %d stands where %d should", e.Seq, v.next)
	}
	v.next++
	switch e.Kind {
	case KindIntent:
		v.report.Intents++
		v.open[e.Seq] = true
	case KindOutcome:
		v.report.Outcomes++
		if e.Intent == nil || !v.open[*e.Intent] {
			v.fault(where, "is an outcome without an open intent: an attempt that was not announced, or told twice")
			return
		}
		delete(v.open, *e.Intent)
	default:
		v.report.Events++
		v.admit(&e)
	}
}

// admit takes note of what the log says about itself.
func (v *verifier) admit(e *Entry) {
	switch {
	case e.Kind == KindWALRetired && e.To != nil:
		v.retired = max(v.retired, *e.To)
	case e.Kind == KindWALDamaged && e.From != nil && e.To != nil:
		v.lost = append(v.lost, span{*e.From, *e.To})
		v.note("entry %d: entries %d to %d are in the Merkle log only; the write-ahead log had lost them", e.Seq, *e.From, *e.To)
	case e.Kind == KindWALTorn:
		v.note("entry %d: an unfinished group of %d bytes was cut after a crash", e.Seq, e.Count)
	}
}

func (v *verifier) admitted(s span) bool {
	return slices.ContainsFunc(v.lost, func(l span) bool { return l.from <= s.from && s.to <= l.to })
}

func (v *verifier) finish() {
	v.report.Entries = v.next
	v.report.OpenCount = len(v.open)
	for id := range v.open {
		v.report.Open = append(v.report.Open, id)
	}
	slices.Sort(v.report.Open)
	v.report.Open = v.report.Open[:min(len(v.report.Open), 20)]
	if v.earlier != nil && v.report.OK() {
		v.note("the log continues the given checkpoint of %d entries", v.earlier.Size)
	}
}

// checkDir looks at the files beside the two logs.
func (v *verifier) checkDir() {
	list, err := os.ReadDir(v.dir)
	if err != nil {
		v.fault(".", "cannot be read: %v", err)
		return
	}
	for _, item := range list {
		name := item.Name()
		switch name {
		case "wal", "tree", keyFile, publicFile:
		case "lock":
			v.checkEmpty(name)
		case "reserve":
			v.checkReserve(name)
		case keyFile + ".new", publicFile + ".new":
			v.note("%s was left by a crash", name)
		default:
			v.fault(name, "is no file of the log")
		}
	}
}

func (v *verifier) checkEmpty(name string) {
	info, err := os.Stat(filepath.Join(v.dir, name))
	if err != nil || info.Size() != 0 {
		v.fault(name, "is a lock and should be empty")
	}
}

func (v *verifier) checkReserve(name string) {
	raw, err := os.ReadFile(filepath.Join(v.dir, name))
	if err == nil && len(bytes.TrimLeft(raw, "\x00")) > 0 {
		v.fault(name, "should hold zeros only")
	}
}
