-- +goose Up
-- Keys that sign ID tokens, sealed under a data key.
CREATE TABLE openid_keys (
    id          text PRIMARY KEY,
    sealed      bytea NOT NULL,
    predecessor text NOT NULL UNIQUE,    -- at most one key follows another
    created_at  bigint NOT NULL,
    signs_from  bigint NOT NULL
);

-- +goose Down
DROP TABLE openid_keys;
