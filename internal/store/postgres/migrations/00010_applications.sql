-- +goose Up
-- The application of a site key: a hash of its id, and the public half of its RSA key.
CREATE TABLE site_key_applications (
    hash    BYTEA PRIMARY KEY CHECK (length(hash) = 32),
    key_id  TEXT NOT NULL UNIQUE REFERENCES site_keys (id),
    public  BYTEA NOT NULL
);

-- +goose Down
DROP TABLE site_key_applications;
