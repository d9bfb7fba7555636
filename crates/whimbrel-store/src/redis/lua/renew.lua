-- KEYS[3] the terms; ARGV[9] the connector, ARGV[10] for how long, ms. Answers the term of its lease: another one whenever
-- the lease did not stand until now. It is kept here, so that an answer that was lost changes nothing: the next says the same.
local FORGOTTEN_AFTER_MS = 3600 * 1000
local until_when = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[9]) or 0)
local term = tonumber(redis.call('HGET', KEYS[3], ARGV[9]) or 0)
if until_when <= now or term == 0 then
  -- A time (ms), so that also a connector that was forgotten, or a Redis that was emptied, begins a later one.
  term = math.max(term + 1, now)
  redis.call('HSET', KEYS[3], ARGV[9], string.format('%.0f', term))
end
local forgotten = string.format('%.0f', now - FORGOTTEN_AFTER_MS)
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', forgotten)) do
  if other ~= ARGV[9] then redis.call('HDEL', KEYS[3], other) end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', forgotten)
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[10]), ARGV[9])
raise()
return answer(term)
