-- +goose Up
-- The application of a site key: a hash of its id, and the public half of its RSA key.
CREATE TABLE site_key_applications (
    hash    BLOB PRIMARY KEY CHECK (length(hash) = 32),
    key_id  TEXT NOT NULL UNIQUE REFERENCES site_keys (id),
    public  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE site_key_applications;
