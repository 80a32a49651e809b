package outbound

import (
	"container/list"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Room bounds how many objects have a Bucket of their own, over all the Objects that
// share it. It is safe for concurrent use.
type Room struct {
	most int64
	used atomic.Int64
}

// NewRoom makes a Room for so many objects; 0: 65,536. One that was called a few times
// takes about 500 bytes, so that is 32 MiB at most.
func NewRoom(objects int) *Room {
	if objects <= 0 {
		objects = 1 << 16
	}
	return &Room{most: int64(objects)}
}

func (r *Room) enter() bool {
	if r.used.Add(1) <= r.most {
		return true
	}
	r.used.Add(-1)
	return false
}

func (r *Room) leave() { r.used.Add(-1) }

// shared is how many Buckets the objects share that found no Room.
const shared = 1024

// sweeps is how many of the objects that were longest not called are looked at when one is.
const sweeps = 4

// Objects keeps the calls for each object (or number) of one credential under one
// documented limit: a Bucket for each that was called. A Bucket whose calls have all
// stopped counting is as good as a new one and is forgotten.
//
// Memory is bounded by a Room. Objects that find none share 1,024 Buckets by a hash
// that nobody outside can foresee: together such objects get no more than one of them
// may, so the limit holds without exception, and only what is left of it may be refused.
// It is safe for concurrent use.
type Objects struct {
	config BucketConfig
	room   *Room
	seed   maphash.Seed

	mu     sync.Mutex
	own    map[uint64]*list.Element // by hash; of *object
	order  *list.List               // the longest not called first
	shared [shared]*object
}

// object is a Bucket and how many calls hold it.
type object struct {
	hash   uint64
	bucket *Bucket
	held   int
}

// NewObjects makes Objects. It keeps nothing of an object until the object is called.
func NewObjects(c BucketConfig, room *Room) *Objects {
	return &Objects{config: c, room: room, seed: maphash.MakeSeed(), own: map[uint64]*list.Element{}, order: list.New()}
}

// Hold finds or makes the Bucket of an object and keeps it until release is called,
// once, after the call has ended. Two objects whose names have one 64-bit hash share it.
func (o *Objects) Hold(id string) (b *Bucket, release func()) {
	hash := maphash.String(o.seed, id)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sweep()
	e, ok := o.own[hash]
	if !ok && !o.sharedInUse(hash) && o.room.enter() {
		e, ok = o.order.PushBack(&object{hash: hash, bucket: NewBucket(o.config)}), true
		o.own[hash] = e
	}
	var held *object
	if ok {
		o.order.MoveToBack(e)
		held = e.Value.(*object)
	} else {
		held = o.ofShared(hash)
	}
	held.held++
	return held.bucket, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		held.held--
	}
}

// sharedInUse reports whether calls that still count may stand in a shared Bucket: until
// they stop, their object gets none of its own.
func (o *Objects) sharedInUse(hash uint64) bool {
	s := o.shared[hash%shared]
	if s != nil && s.held == 0 && s.bucket.idle() {
		o.shared[hash%shared], s = nil, nil
	}
	return s != nil
}

func (o *Objects) ofShared(hash uint64) *object {
	at := &o.shared[hash%shared]
	if *at == nil {
		*at = &object{hash: hash, bucket: NewBucket(o.config)}
	}
	return *at
}

// sweep forgets what was longest not called and counts nothing any more.
func (o *Objects) sweep() {
	for range sweeps {
		e := o.order.Front()
		if e == nil {
			return
		}
		oldest := e.Value.(*object)
		switch {
		case oldest.held > 0:
			o.order.MoveToBack(e)
		case oldest.bucket.idle():
			o.order.Remove(e)
			delete(o.own, oldest.hash)
			o.room.leave()
		default:
			return
		}
	}
}
