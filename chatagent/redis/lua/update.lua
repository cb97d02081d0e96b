-- Replace fields that a session was made with.
-- KEYS 1 session
-- ARGV field, value, …
-- Returns {'missing'} | {'ok'}
if redis.call('EXISTS', KEYS[1]) == 0 then return {'missing'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'updated_at', now, unpack(ARGV))
return {'ok'}
