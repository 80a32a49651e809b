-- +goose Up
-- What was spent of each budget in the latest period that anything was spent in. Amounts are
-- millionths of the unit; a day or a month that begins anew takes the row over.
CREATE TABLE budgets (
    site       TEXT NOT NULL,
    connection TEXT NOT NULL,            -- '' = the whole site
    operation  TEXT NOT NULL,            -- '' = the whole connection
    mode       TEXT NOT NULL,
    period     TEXT NOT NULL,            -- day, month
    unit       TEXT NOT NULL,            -- calls, or a currency
    start      INTEGER NOT NULL,
    taken      INTEGER NOT NULL CHECK (taken >= 0),
    unvouched  INTEGER NOT NULL CHECK (unvouched BETWEEN 0 AND taken),
    calls      INTEGER NOT NULL,
    told       INTEGER NOT NULL,         -- alerts of this period, as bits
    PRIMARY KEY (site, connection, operation, mode, period, unit)
) STRICT;

-- +goose Down
DROP TABLE budgets;
