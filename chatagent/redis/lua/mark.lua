-- Write fields of the session, for the holder of the lease only.
-- KEYS 1 session
-- ARGV 1 epoch, then field, value, …
-- Returns {'lost'} | {'ok'}
local s = redis.call('HMGET', KEYS[1], 'epoch', 'owner')
if s[1] ~= ARGV[1] or s[2] == '' then return {'lost'} end
if #ARGV > 1 then redis.call('HSET', KEYS[1], unpack(ARGV, 2)) end
return {'ok'}
