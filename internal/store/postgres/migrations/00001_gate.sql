-- +goose Up
-- Times are Unix milliseconds, except those of leases, which are of the database's own
-- clock. Nothing here is a secret in the clear: keys are hashes, public halves, or sealed
-- under a data key.

CREATE TABLE site_keys (
    id           text PRIMARY KEY,
    site         text NOT NULL,
    connection   text NOT NULL,          -- '' = all connections of the site
    shape        text NOT NULL,
    auth_hash    bytea NOT NULL UNIQUE CHECK (octet_length(auth_hash) = 32),
    user_hash    bytea NOT NULL CHECK (octet_length(user_hash) IN (0, 32)),
    permit_key   bytea NOT NULL CHECK (octet_length(permit_key) = 32),
    created_at   bigint NOT NULL,
    last_used_at bigint,
    revoked_at   bigint
);
CREATE INDEX site_keys_by_site ON site_keys (site, created_at);

CREATE TABLE signing_keys (
    id          text PRIMARY KEY,
    public      bytea NOT NULL CHECK (octet_length(public) = 32),
    sealed      bytea NOT NULL,
    predecessor text NOT NULL UNIQUE,    -- at most one key follows another
    created_at  bigint NOT NULL,
    signs_from  bigint NOT NULL
);

CREATE TABLE revocations (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id text NOT NULL UNIQUE,
    until      bigint NOT NULL
);
CREATE INDEX revocations_by_until ON revocations (until);

CREATE TABLE freezes (
    site       text NOT NULL,
    connection text NOT NULL,            -- '' = the whole site
    reason     text NOT NULL,
    by         text NOT NULL,
    at         bigint NOT NULL,
    PRIMARY KEY (site, connection)
);

CREATE TABLE data_keys (
    owner      text PRIMARY KEY,
    wrapped    bytea NOT NULL,
    created_at bigint NOT NULL
);

-- A serving process. Its id is the fencing number: it grows, and a process that was
-- declared dead comes back under another one.
CREATE TABLE nodes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,            -- for operators' eyes: host and process
    shares     boolean NOT NULL,         -- its limits are shared with other nodes
    acked      bigint NOT NULL,          -- the last change that is in force there
    started_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL      -- of the lease: from then on it passes nothing
) WITH (fillfactor = 50);

-- Counts what every node must know before the one who changed it is answered. Its one row
-- is the turn of changes, so that they are numbered in the order in which they are seen.
CREATE TABLE changes (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    n   bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO changes (n) VALUES (0);

-- Work that one node at a time does.
CREATE TABLE turns (
    work text PRIMARY KEY,
    node bigint NOT NULL
);

CREATE TABLE repeats (
    site         text NOT NULL,
    connection   text NOT NULL,
    operation    text NOT NULL,
    caller       text NOT NULL,
    key_hash     bytea NOT NULL CHECK (octet_length(key_hash) = 32),
    request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
    state        smallint NOT NULL CHECK (state IN (0, 1, 2)),   -- unknown, in progress, done
    node         bigint NOT NULL,        -- who makes the call that is in progress
    sealed       bytea,
    created_at   bigint NOT NULL,
    expires_at   bigint NOT NULL,
    PRIMARY KEY (site, connection, operation, caller, key_hash)
);
CREATE INDEX repeats_by_expiry ON repeats (expires_at);
CREATE INDEX repeats_in_progress ON repeats (node) WHERE state = 1;

-- +goose Down
DROP TABLE repeats;
DROP TABLE turns;
DROP TABLE changes;
DROP TABLE nodes;
DROP TABLE data_keys;
DROP TABLE freezes;
DROP TABLE revocations;
DROP TABLE signing_keys;
DROP TABLE site_keys;
