-- +goose Up
-- Since when secrets have their present value: a keyed hash of it, whose key lies elsewhere.
CREATE TABLE secret_ages (
    ref   text PRIMARY KEY,
    print bytea NOT NULL,
    since bigint NOT NULL,
    used  bigint              -- read for a call; NULL: never
);

-- What the schedule found of each connection's credential, and which node is asking.
CREATE TABLE probes (
    site       text NOT NULL,
    connection text NOT NULL,
    finding    text NOT NULL DEFAULT '',
    note       text NOT NULL DEFAULT '',
    asked_at   bigint NOT NULL DEFAULT 0,
    since      bigint NOT NULL DEFAULT 0,
    held_until bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (site, connection)
);

-- +goose Down
DROP TABLE probes;
DROP TABLE secret_ages;
