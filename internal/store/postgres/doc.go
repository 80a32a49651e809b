// Package postgres keeps what gates must remember in one PostgreSQL database, so that
// several of them (nodes) can serve the same sites.
//
// It guarantees that a write that returned nil is durable on the database's side
// (synchronous_commit is set for every session); that a node which cannot reach the
// database for its lease of a second says of every call that nothing is known, so that
// nothing passes; that a freeze, a thaw, the revocation of a key and the end of a visit
// return only when every node whose lease still holds acts on them; that of equal calls on
// any nodes one goes first; and that calls which a dead node left in progress are unknown
// afterwards. Row locks of the database decide; no node trusts its clock for that.
//
// It does not hold plain secrets: what needs sealing comes sealed. It decides nothing about
// calls, keeps no limits, and does not run the database: backups are the operator's.
//
// # Nodes
//
// A serving process has a row in the table nodes: its id is a fencing number that only
// grows. Every fifth of a second, and at once when the database notifies, it renews its
// lease and reads what changed since (the table changes counts). A lease that lapsed is
// taken up again; a node that was silent for five seconds longer is dead: its row goes, its
// calls in progress become unknown, and when it comes back it has another number, with
// which it can end only its own new calls.
//
// # Adding a port
//
// A port (an interface that a package of ring 1 or 2 needs) comes into this store in four
// steps:
//
//  1. migrations/NNNNN_name.sql, with the number and the tables of the SQLite migration.
//     Times are bigint milliseconds, bytes are bytea, hashes have a CHECK of their length.
//     Migrations only add: while nodes restart one by one, old and new ones share the
//     schema.
//  2. A file with the port's methods on *Store. Reads: s.pool with millis and moment of
//     rows.go. Writes: s.tx, whose function may run twice (a deadlock is tried again) and
//     must only use its transaction. Decide with one statement (INSERT … ON CONFLICT,
//     UPDATE … WHERE … RETURNING) or with SELECT … FOR UPDATE before the write: two nodes
//     run it at once. Rows are locked in one order. What every node must know before the
//     caller is answered goes through s.change instead, and Follow tells the node's memory.
//  3. The port's suite, one line in TestConformance of store_test.go. It runs over SQLite
//     too; what only many nodes show is a test of its own here (nodes_test.go has two
//     stores on one database).
//  4. The interface in app.Store: both stores are held against it when it compiles.
package postgres
