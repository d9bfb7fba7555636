-- ARGV[9…] connectors
if #ARGV > 8 then redis.call('ZREM', KEYS[2], unpack(ARGV, 9)) end
raise()
return answer()
