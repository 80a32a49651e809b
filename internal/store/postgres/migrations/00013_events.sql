-- +goose Up
-- Verified webhooks, what each destination is to get of them, and how destinations fare. Times
-- are milliseconds since 1970. The body is sealed under the site's data key.
CREATE TABLE events (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text NOT NULL UNIQUE,
    site       text NOT NULL,
    connection text NOT NULL,
    mode       text NOT NULL,
    dedupe     bytea NOT NULL,
    type       text NOT NULL,
    object     text NOT NULL,
    received   bigint NOT NULL,
    sealed     bytea NOT NULL,
    UNIQUE (site, connection, mode, dedupe)
);
CREATE INDEX events_by_age ON events (site, connection, received);

CREATE TABLE event_deliveries (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text NOT NULL UNIQUE,
    event       bigint NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    destination text NOT NULL,
    ordered     text NOT NULL,              -- '' = in no order
    state       integer NOT NULL,           -- 0 waiting, 1 behind another, 2 done, 3 buried
    attempts    integer NOT NULL DEFAULT 0,
    due         bigint NOT NULL,
    held_by     text NOT NULL DEFAULT '',
    status      integer NOT NULL DEFAULT 0,
    reason      text NOT NULL DEFAULT '',
    ended       bigint
);
CREATE INDEX event_deliveries_due ON event_deliveries (destination, due, seq) WHERE state = 0;
CREATE INDEX event_deliveries_order ON event_deliveries (destination, ordered, seq) WHERE state < 2 AND ordered <> '';
CREATE INDEX event_deliveries_of ON event_deliveries (event);
CREATE INDEX event_deliveries_buried ON event_deliveries (destination, seq) WHERE state = 3;

-- What the audit log is still to be told.
CREATE TABLE events_received (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text NOT NULL,
    site       text NOT NULL,
    connection text NOT NULL,
    at         bigint NOT NULL
);

CREATE TABLE event_destinations (
    destination   text PRIMARY KEY,
    failing_since bigint,
    disabled      bigint,
    reason        text NOT NULL DEFAULT ''
);

-- +goose Down
DROP TABLE event_destinations;
DROP TABLE events_received;
DROP TABLE event_deliveries;
DROP TABLE events;
