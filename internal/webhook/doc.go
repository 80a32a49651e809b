// Package webhook takes events in from providers and delivers them to sites: verify, store,
// acknowledge; later deliver, again and again, until the site has them or they are buried.
//
// It guarantees:
//   - An event is acknowledged only after it, its deliveries and its line for the audit log
//     are durable, in one transaction.
//   - A duplicate (same connection, mode and authenticated event id, else the same raw body)
//     is acknowledged and stored once, for as long as events are kept: at least seven days.
//   - A delivery ends as done or as buried, and every attempt carries the same delivery id.
//     A crash between an attempt and its record repeats the attempt: a site sees an event at
//     least once.
//   - Where order is asked for, an object's next event is not sent before the one before it
//     is done or buried.
//   - Bodies are kept sealed under the site's data key.
//
// It does not: decide whether a signature is good (webhook/scheme does), hide an event's type
// and object id from operators, or order events of different objects.
package webhook
