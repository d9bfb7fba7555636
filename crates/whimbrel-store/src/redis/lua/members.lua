-- KEYS[3] when each member's lease ends, KEYS[4] who they are. Answers the members with a lease.
local ids = redis.call('ZRANGEBYSCORE', KEYS[3], string.format('(%.0f', now), '+inf')
local members = {}
if #ids > 0 then members = redis.call('HMGET', KEYS[4], unpack(ids)) end
raise()
return answer(members)
