-- +goose Up
-- Who is signed in at which site. The id is a hash of the browser's cookie, the subject a
-- pseudonym; claims are sealed with the site's data key.
CREATE TABLE logins (
    site       TEXT NOT NULL,
    id         TEXT NOT NULL,
    connection TEXT NOT NULL,
    subject    TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    begun      INTEGER NOT NULL,
    ends       INTEGER NOT NULL,
    PRIMARY KEY (site, id)
) STRICT;
CREATE INDEX logins_by_subject ON logins (site, subject, begun);
CREATE INDEX logins_by_end ON logins (ends);

-- The key of each site's pseudonyms, sealed. It never changes.
CREATE TABLE login_keys (
    site   TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;

-- +goose Down
DROP TABLE login_keys;
DROP TABLE logins;
