-- KEYS[3] when each member's lease ends, KEYS[4] who they are; ARGV[9] the member's id, ARGV[10] it, ARGV[11] for how long, ms
local ended = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now))
if #ended > 0 then
  redis.call('ZREM', KEYS[3], unpack(ended))
  redis.call('HDEL', KEYS[4], unpack(ended))
end
redis.call('ZADD', KEYS[3], string.format('%.0f', now + ARGV[11]), ARGV[9])
redis.call('HSET', KEYS[4], ARGV[9], ARGV[10])
raise()
return answer()
