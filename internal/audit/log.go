package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

// Options are what Open needs; only Key is required.
type Options struct {
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
	// Logger hears of faults and recoveries; nil means nobody does.
	Logger *slog.Logger
	// Key gives the key for a site's keyed hashes, at least 16 bytes; the empty site
	// is the gate itself. It is asked for every entry with an identifier, from many
	// goroutines, and should not block for long.
	Key func(site string) (secret.Value, error)
	// Wait bounds how long Intent and Record wait for the disk; 0 means 2 s.
	Wait time.Duration
	// SegmentBytes is where a segment of the write-ahead log ends; 0 means 8 MiB.
	SegmentBytes int64
	// KeepSegments is how many finished segments stay after the Merkle log has
	// them; 0 means 2.
	KeepSegments int
	// ReserveBytes is the disk space held back for a full disk; 0 means 16 MiB,
	// negative means none.
	ReserveBytes int64
	// SequenceEvery is the pace at which entries go into the Merkle log; 0 means
	// 250 ms. CheckpointEvery is the pace of signed checkpoints; 0 means 1 s, and
	// less than 100 ms is not possible.
	SequenceEvery   time.Duration
	CheckpointEvery time.Duration
	// MaxBacklog is how many entries may wait for the Merkle log before intents are
	// refused; 0 means 1,000,000.
	MaxBacklog uint64

	files    files
	openTree func(dir string, k signingKey, every time.Duration) (tree, error)
}

func (o Options) withDefaults() Options {
	o.Now = orElse(o.Now == nil, time.Now, o.Now)
	o.Logger = orElse(o.Logger == nil, slog.New(slog.DiscardHandler), o.Logger)
	o.Wait = orElse(o.Wait <= 0, 2*time.Second, o.Wait)
	o.SegmentBytes = orElse(o.SegmentBytes <= 0, 8<<20, o.SegmentBytes)
	o.KeepSegments = orElse(o.KeepSegments <= 0, 2, o.KeepSegments)
	o.ReserveBytes = orElse(o.ReserveBytes == 0, 16<<20, o.ReserveBytes)
	o.SequenceEvery = orElse(o.SequenceEvery <= 0, 250*time.Millisecond, o.SequenceEvery)
	o.CheckpointEvery = orElse(o.CheckpointEvery <= 0, time.Second, o.CheckpointEvery)
	o.CheckpointEvery = max(o.CheckpointEvery, 100*time.Millisecond)
	o.MaxBacklog = orElse(o.MaxBacklog == 0, 1_000_000, o.MaxBacklog)
	if o.files == nil {
		o.files = osFiles{}
	}
	if o.openTree == nil {
		o.openTree = openTessera
	}
	return o
}

func orElse[T any](use bool, fallback, value T) T {
	if use {
		return fallback
	}
	return value
}

// Log is the audit log of one gate. It is safe for concurrent use.
type Log struct {
	dir  string
	opt  Options
	lock *os.File
	wal  *writer
	tree tree

	wake     chan struct{} // something is pending; capacity 1
	moved    chan struct{} // something became durable; capacity 1
	stop     chan struct{} // closed by Close: the committer finishes and ends
	stopTree chan struct{} // closed when the committer is done
	ended    sync.WaitGroup

	mu       sync.Mutex
	err      error // why nothing more is accepted; poison
	closing  bool
	full     bool // the disk is full: outcomes and events only
	next     ID   // of the next entry
	durable  ID   // all entries below are on disk
	inTree   ID   // all entries below are in the Merkle log
	treeErr  error
	queue    []*group
	waiting  int           // entries in queue
	open     map[ID]opened // intents without an outcome
	refusals throttle
	strange  throttle // refusals of nobody known
}

type opened struct {
	site string
	at   time.Time
}

// group is what one fsync makes durable.
type group struct {
	first   ID
	entries []*Entry
	done    chan struct{} // closed when err is final
	err     error
}

const (
	maxWaiting = 16 << 10 // entries not yet on disk
	maxOpen    = 64 << 10 // intents without an outcome
	maxAge     = 15 * time.Minute
)

// Open opens the log in dir, makes it if there is none, cuts an unfinished group at
// the end, closes orphaned intents as unknown and brings the Merkle log up to date
// in the background. One process at a time may have it open.
func Open(dir string, o Options) (*Log, error) {
	if o.Key == nil {
		return nil, errors.New("open audit log: no function for the keys of keyed hashes")
	}
	o = o.withDefaults()
	if err := makeDirs(dir, filepath.Join(dir, "wal"), filepath.Join(dir, "tree")); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	l, err := open(dir, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open audit log: %w", err), lock.Close())
	}
	l.lock = lock
	return l, nil
}

func open(dir string, o Options) (*Log, error) {
	k, err := loadOrMakeKey(dir, o.files)
	if err != nil {
		return nil, err
	}
	t, err := o.openTree(filepath.Join(dir, "tree"), k, o.CheckpointEvery)
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir, opt: o, tree: t, wake: make(chan struct{}, 1), moved: make(chan struct{}, 1), stop: make(chan struct{}),
		stopTree: make(chan struct{}), open: map[ID]opened{}, refusals: throttle{perSecond: 200}, strange: throttle{perSecond: 20}}
	if err := l.recover(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	l.ended.Go(l.commitLoop)
	l.ended.Go(l.sequenceLoop)
	if err := l.settle(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Intent records that an attempt is about to be made, and returns when that is on
// disk. Any error means: send nothing.
func (l *Log) Intent(ctx context.Context, in Intent) (ID, error) {
	e := &Entry{Kind: KindIntent, Request: in.Request, Site: in.Site, Connection: in.Connection,
		Provider: in.Provider, Operation: in.Operation, Mode: in.Mode, Caller: in.Caller,
		Effects: in.Effects, Attempt: in.Attempt, Config: in.Config}
	if in.Attempt < 1 {
		return 0, errors.New("audit intent: attempts count from 1")
	}
	if err := l.hash(e, identifiers{visit: in.Visit, client: in.Client, key: in.IdempotencyKey}); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, unavailable(err)
	}
	g, id, err := l.enqueue(e)
	if err != nil {
		return 0, err
	}
	if err := l.await(ctx, g); err != nil {
		l.abandon(id)
		return 0, err
	}
	return id, nil
}

// Outcome records how the attempt of an intent ended. It returns without waiting
// for the disk (see the package comment). Each intent takes one outcome. The error is for
// the log: the attempt has been made.
func (l *Log) Outcome(_ context.Context, id ID, out Outcome) error {
	name, err := outcomeName(out.Result)
	if err != nil {
		return err
	}
	return l.conclude(id, &Entry{Outcome: name, Status: out.Status, Code: out.Code,
		Micros: out.Took.Microseconds(), BytesOut: out.BytesOut, BytesIn: out.BytesIn})
}

// Record records an event, and returns when it is on disk. Refusals, which
// strangers can make in any number, do not wait and are thinned: at most 200 a
// second are written, of those without a visit or a caller 20 beside them, and the next
// one tells how many were left out.
func (l *Log) Record(ctx context.Context, ev Event) error {
	g, err := l.record(ev)
	if err != nil || ev.Kind == KindRefused {
		return err
	}
	return l.await(ctx, g)
}

// RecordAll records events in their order, and returns when they are on disk. They share as few
// writes as Record by as many goroutines would, without the goroutines. After an error some of
// them may be on disk: record all of them again, or none.
func (l *Log) RecordAll(ctx context.Context, events []Event) error {
	var last *group
	for _, ev := range events {
		g, err := l.record(ev)
		if err != nil {
			return err
		}
		if last != nil && last != g && g != nil { // groups are written in order, but each has its own end
			if err := l.await(ctx, last); err != nil {
				return err
			}
		}
		if g != nil {
			last = g
		}
	}
	if last == nil {
		return nil
	}
	return l.await(ctx, last)
}

// record gives an event its place in a group; nil where it is thinned out.
func (l *Log) record(ev Event) (*group, error) {
	if !ev.Kind.known() || ev.Kind.own() {
		return nil, fmt.Errorf("audit event: kind %q is not one that Record takes", string(ev.Kind))
	}
	e := &Entry{Kind: ev.Kind, Request: ev.Request, Site: ev.Site, Connection: ev.Connection,
		Operation: ev.Operation, Caller: ev.Caller, Code: ev.Code, Config: ev.Config, Name: ev.Name}
	if ev.Kind == KindRefused {
		limit := &l.refusals
		if ev.Visit == "" && ev.Caller == "" { // a flood of these leaves room for the others
			limit = &l.strange
		}
		missed, ok := limit.allow(l.opt.Now())
		if !ok {
			return nil, l.Err()
		}
		e.Count = missed
	}
	if err := l.hash(e, identifiers{visit: ev.Visit, client: ev.Client, actor: ev.Actor}); err != nil {
		return nil, err
	}
	g, _, err := l.enqueue(e)
	return g, err
}

// Err says why intents are not accepted at present; nil means that they are. It is
// for readiness.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refusal()
}

// Status is how far the log is.
type Status struct {
	Next, Durable, InTree ID
	OpenIntents           int
	// Tree is the last fault of the Merkle log; it is retried.
	Tree error
}

// Status tells how far the log is. It does not block on the disk.
func (l *Log) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Status{Next: l.next, Durable: l.durable, InTree: l.inTree, OpenIntents: len(l.open), Tree: l.treeErr}
}

// Close closes open intents as unknown, writes what is pending, brings the Merkle
// log and its checkpoint up to date (at most 10 s) and ends. The log accepts nothing
// from then on. Close may be called more than once.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		l.ended.Wait()
		return nil
	}
	for id := range l.open {
		l.concludeLocked(id, &Entry{Outcome: string(problem.Unknown), Reason: "closed"})
	}
	l.closing = true
	l.mu.Unlock()
	close(l.stop)
	l.ended.Wait()
	l.mu.Lock()
	err := l.err
	l.mu.Unlock()
	err = errors.Join(err, l.wal.close(), l.tree.Close())
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}

type identifiers struct {
	visit, key, actor string
	client            netip.Addr
}

// hash fills in the keyed hashes and checks everything else.
func (l *Log) hash(e *Entry, ids identifiers) error {
	if err := e.checkTokens(); err != nil {
		return err
	}
	prefix, hasPrefix := Prefix(ids.client)
	if ids.visit != "" || ids.key != "" || hasPrefix {
		key, err := l.key(e.Site)
		if err != nil {
			return err
		}
		e.Visit, e.Key = pseudonym(key, "visit", ids.visit), pseudonym(key, "key", ids.key)
		if hasPrefix {
			e.Prefix = Pseudonym(key, "prefix", prefix.String())
		}
	}
	if ids.actor != "" {
		key, err := l.key("")
		if err != nil {
			return err
		}
		e.Actor = Pseudonym(key, "actor", ids.actor)
	}
	return nil
}

func pseudonym(key secret.Value, label, value string) string {
	if value == "" {
		return ""
	}
	return Pseudonym(key, label, value)
}

func (l *Log) key(site string) (secret.Value, error) {
	key, err := l.opt.Key(site)
	if err == nil && len(key.Expose()) < 16 {
		err = errors.New("it has fewer than 16 bytes")
	}
	if err != nil {
		return secret.Value{}, unavailable(fmt.Errorf("key for keyed hashes: %w", err))
	}
	return key, nil
}

func unavailable(err error) error {
	return problem.Wrap(err, problem.AuditUnavailable, "the audit log could not be written, so nothing was sent").
		WithHint("repeat the call later; the operator finds the reason in the gate's log")
}

// throttle counts what passes in each second and what does not.
type throttle struct {
	perSecond int

	mu     sync.Mutex
	second int64
	passed int
	missed int64
}

// allow reports whether one more may pass now, and how many did not since the last
// one that did.
func (t *throttle) allow(now time.Time) (missed int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := now.Unix(); s != t.second {
		t.second, t.passed = s, 0
	}
	if t.passed >= t.perSecond {
		t.missed++
		return 0, false
	}
	t.passed++
	missed, t.missed = t.missed, 0
	return missed, true
}
