-- KEYS[3…] the user of each session; ARGV[9…] the session's id
for n = 3, #KEYS do
  local session = ARGV[n + 6]
  local routes = redis.call('GET', KEYS[n]) or ''
  local stay = {}
  for at = 1, #routes, 56 do
    local other = string.sub(routes, at, at + 55)
    if string.sub(other, 1, 16) ~= session then stay[#stay + 1] = other end
  end
  if #stay == 0 then
    redis.call('DEL', KEYS[n])
  elseif #stay * 56 < #routes then
    redis.call('SET', KEYS[n], table.concat(stay))
  end
end
raise()
return answer()
