-- +goose Up
-- What an operator did, waiting for the audit log: written in the transaction of the act.
CREATE TABLE admin_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL,
    site       text NOT NULL,
    connection text NOT NULL,
    name       text NOT NULL,
    at         bigint NOT NULL
);

-- +goose Down
DROP TABLE admin_events;
