-- +goose Up
-- Which objects a visit received: keyed hashes only, gone a minute after the visit could
-- have ended.
CREATE TABLE owned (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,   -- the order in which they were received
    site       text NOT NULL,
    visit      bytea NOT NULL CHECK (octet_length(visit) = 16),
    object     bytea NOT NULL CHECK (octet_length(object) = 16),
    expires_at bigint NOT NULL,
    UNIQUE (site, object)
);
CREATE INDEX owned_by_visit ON owned (site, visit, seq);
CREATE INDEX owned_by_expiry ON owned (expires_at);

-- +goose Down
DROP TABLE owned;
