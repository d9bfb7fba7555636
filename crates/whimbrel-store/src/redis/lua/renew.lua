-- ARGV[9] the connector, ARGV[10] for how long, ms. Answers 1 if its lease stood until now.
local FORGOTTEN_AFTER_MS = 3600 * 1000
local until_when = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[9]) or 0)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - FORGOTTEN_AFTER_MS))
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[10]), ARGV[9])
raise()
return answer(until_when > now and 1 or 0)
