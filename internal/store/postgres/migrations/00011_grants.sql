-- +goose Up
-- What visitors allow sites at providers: their tokens, sealed, and who may renew them. The
-- subject is a keyed hash. Times are milliseconds since 1970.
CREATE TABLE grants (
    site       text NOT NULL,
    connection text NOT NULL,
    subject    text NOT NULL,
    version    bigint NOT NULL,              -- counts the changes of sealed
    sealed     bytea,                       -- NULL: the grant is over
    begun      bigint NOT NULL,
    holder     text NOT NULL DEFAULT '',   -- who renews; '' = nobody
    held_until bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (site, connection, subject)
);
CREATE INDEX grants_by_subject ON grants (site, subject);

-- +goose Down
DROP TABLE grants;
