-- Have an ended session forgotten after a while; it takes nothing more.
-- KEYS 1 session, then all its other keys
-- ARGV 1 seconds
-- Returns {'missing'} | {'busy'} | {'ok'}
local s = redis.call('HMGET', KEYS[1], 'status', 'closed')
if not s[1] then return {'missing'} end
if s[1] ~= 'idle' then return {'busy'} end
if s[2] ~= '1' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('HSET', KEYS[1], 'closed', 1, 'closed_reason', 'expired', 'closed_at', now)
end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[1]) end
return {'ok'}
