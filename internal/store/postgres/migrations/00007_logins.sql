-- +goose Up
-- Who is signed in at which site. The id is a hash of the browser's cookie, the subject a
-- pseudonym; claims are sealed with the site's data key.
CREATE TABLE logins (
    site       text NOT NULL,
    id         text NOT NULL,
    connection text NOT NULL,
    subject    text NOT NULL,
    sealed     bytea NOT NULL,
    begun      bigint NOT NULL,
    ends       bigint NOT NULL,
    PRIMARY KEY (site, id)
);
CREATE INDEX logins_by_subject ON logins (site, subject, begun);
CREATE INDEX logins_by_end ON logins (ends);

-- The key of each site's pseudonyms, sealed. It never changes.
CREATE TABLE login_keys (
    site   text NOT NULL PRIMARY KEY,
    sealed bytea NOT NULL
);

-- +goose Down
DROP TABLE login_keys;
DROP TABLE logins;
