-- +goose Up
-- What visitors allow sites at providers: their tokens, sealed, and who may renew them. The
-- subject is a keyed hash. Times are milliseconds since 1970.
CREATE TABLE grants (
    site       TEXT NOT NULL,
    connection TEXT NOT NULL,
    subject    TEXT NOT NULL,
    version    INTEGER NOT NULL,              -- counts the changes of sealed
    sealed     BLOB,                       -- NULL: the grant is over
    begun      INTEGER NOT NULL,
    holder     TEXT NOT NULL DEFAULT '',   -- who renews; '' = nobody
    held_until INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (site, connection, subject)
) STRICT;
CREATE INDEX grants_by_subject ON grants (site, subject);

-- +goose Down
DROP TABLE grants;
