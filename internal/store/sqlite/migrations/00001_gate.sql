-- +goose Up
-- Times are Unix milliseconds. Nothing here is a secret in the clear: keys are hashes,
-- public halves, or sealed under a data key.

CREATE TABLE site_keys (
    id           TEXT PRIMARY KEY,
    site         TEXT NOT NULL,
    connection   TEXT NOT NULL,          -- '' = all connections of the site
    shape        TEXT NOT NULL,
    auth_hash    BLOB NOT NULL UNIQUE CHECK (length(auth_hash) = 32),
    user_hash    BLOB NOT NULL CHECK (length(user_hash) IN (0, 32)),
    permit_key   BLOB NOT NULL CHECK (length(permit_key) = 32),
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;
CREATE INDEX site_keys_by_site ON site_keys (site, created_at);

CREATE TABLE signing_keys (
    id          TEXT PRIMARY KEY,
    public      BLOB NOT NULL CHECK (length(public) = 32),
    sealed      BLOB NOT NULL,
    predecessor TEXT NOT NULL UNIQUE,    -- at most one key follows another
    created_at  INTEGER NOT NULL,
    signs_from  INTEGER NOT NULL
) STRICT;

CREATE TABLE revocations (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL UNIQUE,
    until      INTEGER NOT NULL
) STRICT;
CREATE INDEX revocations_by_until ON revocations (until);

CREATE TABLE freezes (
    site       TEXT NOT NULL,
    connection TEXT NOT NULL,            -- '' = the whole site
    reason     TEXT NOT NULL,
    by         TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (site, connection)
) STRICT;

CREATE TABLE repeats (
    site         TEXT NOT NULL,
    connection   TEXT NOT NULL,
    operation    TEXT NOT NULL,
    caller       TEXT NOT NULL,
    key_hash     BLOB NOT NULL CHECK (length(key_hash) = 32),
    request_hash BLOB NOT NULL CHECK (length(request_hash) = 32),
    state        INTEGER NOT NULL CHECK (state IN (0, 1, 2)),   -- unknown, in progress, done
    sealed       BLOB,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (site, connection, operation, caller, key_hash)
) STRICT;
CREATE INDEX repeats_by_expiry ON repeats (expires_at);
CREATE INDEX repeats_in_progress ON repeats (state) WHERE state = 1;

CREATE TABLE data_keys (
    owner      TEXT PRIMARY KEY,
    wrapped    BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE data_keys;
DROP TABLE repeats;
DROP TABLE freezes;
DROP TABLE revocations;
DROP TABLE signing_keys;
DROP TABLE site_keys;
