-- +goose Up
-- Tokens that providers gave to connections, sealed, and who may ask for the next one. Times
-- are milliseconds since 1970.
CREATE TABLE tokens (
    site       TEXT NOT NULL,
    connection TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL DEFAULT 0,  -- counts the tokens; 0 = none yet
    sealed     BLOB,
    expires_at INTEGER,
    holder     TEXT NOT NULL DEFAULT '',    -- who asks for the next one; '' = nobody
    held_until INTEGER NOT NULL DEFAULT 0,
    pause_until INTEGER NOT NULL DEFAULT 0, -- nobody asks before, after failures
    failures   INTEGER NOT NULL DEFAULT 0,  -- in a row
    reason     TEXT NOT NULL DEFAULT '',    -- of the last one
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (site, connection, name)
) STRICT;

-- +goose Down
DROP TABLE tokens;
