-- The run is no longer warm in a process: any worker may resume it.
-- KEYS 1 session
-- ARGV 1 queue of the worker that held it
-- Returns {'ok'} | {'other'} when it is not warm there
if redis.call('HGET', KEYS[1], 'warm') ~= ARGV[1] then return {'other'} end
redis.call('HSET', KEYS[1], 'warm', '', 'warm_until', 0, 'suspended', 1)
return {'ok'}
