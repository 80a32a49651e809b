-- +goose Up
-- Since when secrets have their present value: a keyed hash of it, whose key lies elsewhere.
CREATE TABLE secret_ages (
    ref   TEXT PRIMARY KEY,
    print BLOB NOT NULL,
    since INTEGER NOT NULL,
    used  INTEGER              -- read for a call; NULL: never
) STRICT;

-- What the schedule found of each connection's credential, and which node is asking.
CREATE TABLE probes (
    site       TEXT NOT NULL,
    connection TEXT NOT NULL,
    finding    TEXT NOT NULL DEFAULT '',
    note       TEXT NOT NULL DEFAULT '',
    asked_at   INTEGER NOT NULL DEFAULT 0,
    since      INTEGER NOT NULL DEFAULT 0,
    held_until INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (site, connection)
) STRICT;

-- +goose Down
DROP TABLE probes;
DROP TABLE secret_ages;
