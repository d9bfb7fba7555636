-- ARGV[9…] connectors, whose leases end now
for n = 9, #ARGV do
  redis.call('ZADD', KEYS[2], 'XX', string.format('%.0f', now), ARGV[n])
end
raise()
return answer()
