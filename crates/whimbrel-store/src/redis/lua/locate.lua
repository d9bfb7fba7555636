-- KEYS[3…] users. Answers the connectors with a lease, then each user's routes, joined.
local routes = {}
if #KEYS > 2 then routes = redis.call('MGET', unpack(KEYS, 3)) end
local leases = redis.call('ZRANGEBYSCORE', KEYS[2], string.format('(%.0f', now), '+inf')
raise()
return answer(leases, routes)
