-- Gives back what gcra.lua took for checks of a call that was not made after all. KEYS and
-- ARGV: one key and what its call cost, in nanoseconds, for each check. A key that is gone
-- owes nothing and gets nothing.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
for i, key in ipairs(KEYS) do
  local us, ns = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
  if us then
    local left = (us - now) * 1000 + ns - tonumber(ARGV[i])
    if left <= 0 then
      redis.call('DEL', key)
    else
      redis.call('SET', key, string.format('%.0f %.0f', now + math.floor(left / 1000), left % 1000), 'PX', math.ceil(left / 1000000) + 1)
    end
  end
end
return #KEYS
