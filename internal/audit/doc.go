// Package audit is the record of what the gate did and was asked to do: an intent
// before each attempt, an outcome after it, and events (refusals, administration).
//
// It guarantees:
//   - Intent returns nil only after the intent is on disk (group fsync), so that
//     attempts ⊆ intents after any crash. Where that cannot be done within Wait,
//     it returns problem.AuditUnavailable and nothing may be sent: it fails closed.
//   - After a failed fsync nothing more is accepted: the pages may be gone, and a
//     second fsync would say so of nobody. A restart recovers what is on disk.
//   - An intent without an outcome is closed as unknown, at the next Open at the latest.
//   - Every entry gets one sequence number, and goes into the Merkle log once, at
//     that index: the log's own size says where to go on after a crash.
//   - Entries have a fixed set of fields. Identifiers of people are stored only as
//     keyed hashes with a key of the site, so that deleting the key erases them;
//     all other fields are short tokens in which no address or sentence fits.
//
// It does not: hold values of parameters, hide that a call happened, or protect the
// last second from somebody who can write the disk (entries not yet in the Merkle
// log are checked by CRC only; a checkpoint kept elsewhere is the anchor).
//
// # Durability of outcomes
//
// Outcome does not wait for the disk. It joins the next group, which is written
// within milliseconds. If the machine dies before, the intent is closed as unknown:
// the careful answer. Waiting would add a second fsync to every reply and buy only
// that this word is more often exact.
//
// # Files
//
//	DIR/lock           one writer at a time (flock)
//	DIR/audit.key      signing key of the checkpoints, 0600 (golang.org/x/mod/sumdb/note)
//	DIR/audit.pub      its public half, for verify
//	DIR/reserve        space given up when the disk is full, so that outcomes still fit
//	DIR/wal/N.wal      segments of the write-ahead log; N is the first sequence number
//	DIR/tree/          the Merkle log (Tessera, C2SP tlog-tiles): checkpoint, tile/…
//
// A segment is a header of 32 bytes ("SALLYWAL", version uint32, first sequence
// number uint64, time int64 in ns, CRC32C of these 28 bytes), then groups. A group is what one
// fsync made durable: a header of 28 bytes (magic "SPg1", body length uint32, count
// uint32, first sequence number uint64, CRC32C of the body, CRC32C of these 24 bytes)
// and the body: per entry its length (uint32) and its JSON. All numbers are
// big-endian. A group is written only after the one before it is durable, so only
// the last group can be torn, and nobody was ever told that it is safe.
package audit
