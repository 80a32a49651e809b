-- +goose Up
-- What an operator did, waiting for the audit log: written in the transaction of the act.
CREATE TABLE admin_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT NOT NULL,
    site       TEXT NOT NULL,
    connection TEXT NOT NULL,
    name       TEXT NOT NULL,
    at         INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE admin_events;
