-- Keep the lease, and bring back what the worker should know.
-- KEYS 1 session
-- ARGV 1 epoch, 2 lease_ms
-- Returns {'lost'} | {'ok', stopped, unread records, closed, forgotten}
local s = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'stop_seq', 'turn_seq', 'in_seq', 'closed', 'forget_seq')
if s[1] ~= ARGV[1] or s[2] == '' then return {'lost'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'lease_until', now + ARGV[2])
return {'ok', s[3] == s[4] and 1 or 0, tonumber(s[5]) - tonumber(s[4]), tonumber(s[6]),
  s[7] == s[4] and 1 or 0}
