package outbound

import "time"

// Crew says which of the nodes that keep a provider's limits together this one is: the
// Index-th from 0 of Live, and since when it has been one of them. The zero Crew is a node
// that is alone.
type Crew struct {
	Index, Live int
	Since       time.Time
}

const (
	// notice is how long it may take until every node knows that another one came or went.
	notice = time.Second
	// longRamp bounds how long a node that came has less than its share.
	longRamp = time.Minute
)

// portion is what one node may use of a limit. The portions of all nodes add up to the limit, and
// a change keeps to it too: a node that hears of another gives up what is the other's at
// once, and one that came takes it bit by bit, as the calls that the others made before it
// stop counting. A node that hears that another went waits as long before it takes more.
type portion struct {
	crew  func() Crew
	now   Crew
	fewer time.Time // since when there have been fewer nodes; zero: there are not
}

// look brings the part up to date. It is called under the bucket's lock.
func (p *portion) look(now time.Time, window time.Duration) {
	if p.crew == nil {
		return
	}
	next := p.crew()
	switch {
	case next.Live >= p.now.Live:
		p.now, p.fewer = next, time.Time{}
	case p.fewer.IsZero():
		p.fewer = now
	case now.Sub(p.fewer) >= notice+min(window+window/8, longRamp):
		p.now, p.fewer = next, time.Time{}
	}
}

// of is the part of a limit per window, and by how much longer a call counts where the
// limit has fewer calls than there are nodes.
func (p *portion) of(limit int, now time.Time, window time.Duration) (calls int, longer int) {
	live := p.now.Live
	if live <= 1 || limit == 0 {
		return limit, 1
	}
	index := min(max(p.now.Index, 0), live-1)
	if limit < live {
		calls, longer = 1, (live+limit-1)/limit
	} else {
		calls, longer = limit*(index+1)/live-limit*index/live, 1
	}
	here := now.Sub(p.now.Since) - notice
	switch ramp := min(window+window/8, longRamp); {
	case here <= 0:
		return 0, longer
	case here < ramp:
		return int(int64(calls) * int64(here) / int64(ramp)), longer
	}
	return calls, longer
}

// flying is the part of a limit of calls in flight; at least one.
func (p *portion) flying(limit int) int {
	if live := p.now.Live; live > 1 && limit > 0 {
		return max(1, limit/live)
	}
	return limit
}
