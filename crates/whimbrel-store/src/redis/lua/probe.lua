-- Answers what the server does when it runs out of memory; nothing if it does not say.
local memory = redis.pcall('INFO', 'memory')
local policy = type(memory) == 'string' and string.match(memory, 'maxmemory_policy:([%w-]+)')
raise()
return answer(policy or '')
