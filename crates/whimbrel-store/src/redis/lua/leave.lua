-- KEYS[3] when each member's lease ends, KEYS[4] who they are; ARGV[9] the member's id
redis.call('ZREM', KEYS[3], ARGV[9])
redis.call('HDEL', KEYS[4], ARGV[9])
raise()
return answer()
