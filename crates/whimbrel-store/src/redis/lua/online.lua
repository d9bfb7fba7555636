-- KEYS[3…] the user of each session; ARGV[9…] the session: its id, device, connector (16 bytes each), since (8 bytes, big-endian)
-- Answers what went, in pairs: the session's number in this call, the routes that went, joined.
-- A connector that registers is remembered from then on, with or without a lease, until an hour after its lease ended;
-- the sessions of one that is not remembered are dropped: should it live, it is told that its lease was not kept.
local lease_ends = {}
local function lease_end(connector)
  if not lease_ends[connector] then
    lease_ends[connector] = tonumber(redis.call('ZSCORE', KEYS[2], connector) or -1)
  end
  return lease_ends[connector]
end

local function is_newer(one, other)
  local one_high, one_low = struct.unpack('>I4I4', string.sub(one, 49, 56))
  local other_high, other_low = struct.unpack('>I4I4', string.sub(other, 49, 56))
  return one_high > other_high or (one_high == other_high and one_low > other_low)
end

local gone = {}
for n = 3, #KEYS do
  local route = ARGV[n + 6]
  local session, device, own = string.sub(route, 1, 16), string.sub(route, 17, 32), string.sub(route, 33, 48)
  if lease_end(own) < 0 then
    redis.call('ZADD', KEYS[2], string.format('%.0f', now), own)
    lease_ends[own] = now
  end
  local routes = redis.call('GET', KEYS[n]) or ''
  local stay, went, is_late = {}, {}, false
  for at = 1, #routes, 56 do
    local other = string.sub(routes, at, at + 55)
    local until_when = lease_end(string.sub(other, 33, 48))
    if string.sub(other, 17, 32) ~= device then
      if until_when >= 0 then stay[#stay + 1] = other end
    elseif is_newer(other, route) and until_when > now then
      is_late = true
    elseif string.sub(other, 1, 16) ~= session then
      went[#went + 1] = other
    end
  end
  if is_late then
    went = {route}
  else
    stay[#stay + 1] = route
    redis.call('SET', KEYS[n], table.concat(stay))
  end
  if #went > 0 then
    gone[#gone + 1] = n - 3
    gone[#gone + 1] = table.concat(went)
  end
end
raise()
return answer(gone)
