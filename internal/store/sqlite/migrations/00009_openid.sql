-- +goose Up
-- Keys that sign ID tokens, sealed under a data key.
CREATE TABLE openid_keys (
    id          TEXT PRIMARY KEY,
    sealed      BLOB NOT NULL,
    predecessor TEXT NOT NULL UNIQUE,    -- at most one key follows another
    created_at  INTEGER NOT NULL,
    signs_from  INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE openid_keys;
