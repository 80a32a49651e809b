-- +goose Up
-- What was spent of each budget in the latest period that anything was spent in. Amounts are
-- millionths of the unit; a day or a month that begins anew takes the row over.
CREATE TABLE budgets (
    site       text NOT NULL,
    connection text NOT NULL,            -- '' = the whole site
    operation  text NOT NULL,            -- '' = the whole connection
    mode       text NOT NULL,
    period     text NOT NULL,            -- day, month
    unit       text NOT NULL,            -- calls, or a currency
    start      bigint NOT NULL,
    taken      bigint NOT NULL CHECK (taken >= 0),
    unvouched  bigint NOT NULL CHECK (unvouched BETWEEN 0 AND taken),
    calls      bigint NOT NULL,
    told       bigint NOT NULL,          -- alerts of this period, as bits
    PRIMARY KEY (site, connection, operation, mode, period, unit)
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE budgets;
