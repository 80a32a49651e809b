package postgres

import "sallyport/internal/egress"

// Doubt is what a beginning leaves that the database did not confirm.
func (s *Store) Doubt(k egress.RepeatKey) { s.doubts.add(k) }

// NodeID is the fencing number.
func (s *Store) NodeID() int64 { return s.node.id.Load() }
