-- +goose Up
-- Which objects a visit received: keyed hashes only, gone when the visit cannot be renewed
-- any more.
CREATE TABLE owned (
    seq        INTEGER PRIMARY KEY,          -- the order in which they were received
    site       TEXT NOT NULL,
    visit      BLOB NOT NULL CHECK (length(visit) = 16),
    object     BLOB NOT NULL CHECK (length(object) = 16),
    expires_at INTEGER NOT NULL,
    UNIQUE (site, object)
) STRICT;
CREATE INDEX owned_by_visit ON owned (site, visit, seq);
CREATE INDEX owned_by_expiry ON owned (expires_at);

-- +goose Down
DROP TABLE owned;
