-- GCRA (ITU-T I.371) over all checks of one call: all are taken, or none.
--
-- KEYS: one per check; a key may stand twice. ARGV: "1" to take, "0" to only look; then for
-- each check what one call costs, in nanoseconds, and the number of calls of the burst.
-- A key holds when its debt is paid: microseconds since 1970 by this server's clock, and
-- nanoseconds of the next one. All numbers stay below 2^53, so that none is ever rounded.
--
-- The answer: 1 or 0 (whether the call passes), which check decided (from 0), calls left of
-- it, nanoseconds to wait, nanoseconds until its burst is whole again.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local take = ARGV[1] == '1'
local debts, ends = {}, {}
local worst

local function debt(key)
  if debts[key] then return debts[key] end
  local kept = redis.call('GET', key)
  if not kept then return 0 end
  local us, ns = string.match(kept, '^(%d+) (%d+)$')
  if not us then return 0 end
  return math.max((us - now) * 1000 + ns, 0)
end

local function keep(key, ns)
  if ns <= 0 then return end
  local text = string.format('%.0f %.0f', now + math.floor(ns / 1000), ns % 1000)
  redis.call('SET', key, text, 'PX', math.ceil(ns / 1000000) + 1)
end

for i, key in ipairs(KEYS) do
  local cost, calls = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local burst = cost * calls
  local owed = debt(key)
  local capped = math.min(owed, burst)
  local after = capped + cost
  local d = {allowed = after <= burst, check = i - 1, left = 0, wait = 0, reset = capped}
  if d.allowed then
    d.left, d.reset, debts[key] = math.floor((burst - after) / cost), after, after
  else
    d.wait = after - burst
    -- More than a whole burst is owed only after this server's clock was set back: that is
    -- paid for by one window, not by the whole step.
    if capped < owed then ends[key] = capped end
  end
  if not worst or worst.allowed and (not d.allowed or d.left < worst.left)
    or not worst.allowed and not d.allowed and d.wait > worst.wait then
    worst = d
  end
end

if take then
  if worst.allowed then
    for key, ns in pairs(debts) do keep(key, ns) end
  else
    for key, ns in pairs(ends) do keep(key, ns) end
  end
end
return {worst.allowed and 1 or 0, worst.check, worst.left, worst.wait, worst.reset}
