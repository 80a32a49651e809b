-- +goose Up
-- A permit names the public half of the key that signed it.
CREATE UNIQUE INDEX site_keys_by_permit_key ON site_keys (permit_key);

-- How often permits were used; a row goes when its permit cannot be used any more.
CREATE TABLE permit_uses (
    key_id  text NOT NULL,
    permit  text NOT NULL,
    spent   bigint NOT NULL CHECK (spent >= 0),
    until   bigint NOT NULL,
    PRIMARY KEY (key_id, permit)
);
CREATE INDEX permit_uses_by_end ON permit_uses (until);

-- Receipts that were claimed.
CREATE TABLE claimed_receipts (
    site  text NOT NULL,
    id    text NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (site, id)
);
CREATE INDEX claimed_receipts_by_end ON claimed_receipts (until);

-- +goose Down
DROP TABLE claimed_receipts;
DROP TABLE permit_uses;
DROP INDEX site_keys_by_permit_key;
