-- +goose Up
-- Tokens that providers gave to connections, sealed, and who may ask for the next one. Times
-- are milliseconds since 1970.
CREATE TABLE tokens (
    site       text NOT NULL,
    connection text NOT NULL,
    name       text NOT NULL,
    version    bigint NOT NULL DEFAULT 0,  -- counts the tokens; 0 = none yet
    sealed     bytea,
    expires_at bigint,
    holder     text NOT NULL DEFAULT '',    -- who asks for the next one; '' = nobody
    held_until bigint NOT NULL DEFAULT 0,
    pause_until bigint NOT NULL DEFAULT 0, -- nobody asks before, after failures
    failures   bigint NOT NULL DEFAULT 0,  -- in a row
    reason     text NOT NULL DEFAULT '',    -- of the last one
    changed_at bigint NOT NULL,
    PRIMARY KEY (site, connection, name)
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE tokens;
