-- The run is no longer warm in a process: any worker may resume it, unless it ended there.
-- KEYS 1 session
-- ARGV 1 queue of the worker that held it, 2 1 when it is over: the next message starts another
-- Returns {'ok'} | {'other'} when it is not warm there
if redis.call('HGET', KEYS[1], 'warm') ~= ARGV[1] then return {'other'} end
redis.call('HSET', KEYS[1], 'warm', '', 'warm_until', 0, 'suspended', ARGV[2] == '1' and 0 or 1)
if ARGV[2] == '1' then redis.call('HSET', KEYS[1], 'run_until', 0) end
return {'ok'}
