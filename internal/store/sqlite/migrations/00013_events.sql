-- +goose Up
-- Verified webhooks, what each destination is to get of them, and how destinations fare. Times
-- are milliseconds since 1970. The body is sealed under the site's data key.
CREATE TABLE events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    site       TEXT NOT NULL,
    connection TEXT NOT NULL,
    mode       TEXT NOT NULL,
    dedupe     BLOB NOT NULL,
    type       TEXT NOT NULL,
    object     TEXT NOT NULL,
    received   INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    UNIQUE (site, connection, mode, dedupe)
) STRICT;
CREATE INDEX events_by_age ON events (site, connection, received);

CREATE TABLE event_deliveries (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    event       INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    destination TEXT NOT NULL,
    ordered     TEXT NOT NULL,              -- '' = in no order
    state       INTEGER NOT NULL,           -- 0 waiting, 1 behind another, 2 done, 3 buried
    attempts    INTEGER NOT NULL DEFAULT 0,
    due         INTEGER NOT NULL,
    held_by     TEXT NOT NULL DEFAULT '',
    status      INTEGER NOT NULL DEFAULT 0,
    reason      TEXT NOT NULL DEFAULT '',
    ended       INTEGER
) STRICT;
CREATE INDEX event_deliveries_due ON event_deliveries (destination, due, seq) WHERE state = 0;
CREATE INDEX event_deliveries_order ON event_deliveries (destination, ordered, seq) WHERE state < 2 AND ordered <> '';
CREATE INDEX event_deliveries_of ON event_deliveries (event);
CREATE INDEX event_deliveries_buried ON event_deliveries (destination, seq) WHERE state = 3;

-- What the audit log is still to be told.
CREATE TABLE events_received (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL,
    site       TEXT NOT NULL,
    connection TEXT NOT NULL,
    at         INTEGER NOT NULL
) STRICT;

CREATE TABLE event_destinations (
    destination   TEXT PRIMARY KEY,
    failing_since INTEGER,
    disabled      INTEGER,
    reason        TEXT NOT NULL DEFAULT ''
) STRICT;

-- +goose Down
DROP TABLE event_destinations;
DROP TABLE events_received;
DROP TABLE event_deliveries;
DROP TABLE events;
