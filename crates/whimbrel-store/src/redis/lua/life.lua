-- Every script begins so: is this the life that the caller knows? If it was lost, another one begins here and now.
-- KEYS[1] the group's life, KEYS[2] its leases
-- ARGV: 1 the id that the caller knows, 2 its number, 3 the caller, 4 its beat, 5 a fresh id, 6 how long routes are unsure
--       (ms), 7 '1': ask for the server's run as well, 8 '1': raise the caller's beat
local stamp = redis.call('TIME')
local now = stamp[1] * 1000 + math.floor(stamp[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'id', 'number', ARGV[3], 'sure_at', 'run')
local id, number, beat = held[1] or '', tonumber(held[2] or 0), tonumber(held[3] or 0)
local sure_at, began = tonumber(held[4] or 0), 0
local known, unsure_ms = tonumber(ARGV[2]), tonumber(ARGV[6])

-- Nothing where the caller may not ask: then the beats alone tell.
local function run()
  local server = redis.pcall('INFO', 'server')
  return type(server) == 'string' and string.match(server, 'run_id:(%x+)') or ''
end

-- Numbers are times (ms), so that also who knows of no life begins a later one.
local function begin()
  id, number, beat, sure_at, began = ARGV[5], math.max(number + 1, known + 1, now), 0, now + unsure_ms, 1
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'id', id, 'number', string.format('%.0f', number),
    'sure_at', string.format('%.0f', sure_at), 'run', run())
end

-- A missing one has number 0 and no id, which also who knows of none does not know.
local older = number < known or (number == known and id ~= ARGV[1])
local rolled_back = id == ARGV[1] and beat < tonumber(ARGV[4])
if older or rolled_back or (ARGV[7] == '1' and held[5] ~= run()) then
  begin()
elseif sure_at - now > unsure_ms then
  -- The server's clock went back: no life is unsure for longer than when it began.
  sure_at = now + unsure_ms
  redis.call('HSET', KEYS[1], 'sure_at', string.format('%.0f', sure_at))
end

-- After the writes that it stands for. Callers come and go, a life with too many of them is followed by another one.
local function raise()
  if ARGV[8] ~= '1' then return end
  if beat == 0 and redis.call('HLEN', KEYS[1]) > 1000 then begin() end
  beat = redis.call('HINCRBY', KEYS[1], ARGV[3], 1)
end

local function answer(...)
  return {id, number, beat, math.max(0, sure_at - now), began, ...}
end
