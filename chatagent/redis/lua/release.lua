-- Give a session's place to the one that waits longest.
-- KEYS 1 places, 2 waiting
-- ARGV 1 session id, 2 number of places, 3 ms that a place is kept for one that waits
-- Returns the session id to wake, or ''. A call that comes a second time gives no second place away.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return '' end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return '' end
local first = redis.call('ZPOPMIN', KEYS[2])[1]
if not first then return '' end
redis.call('ZADD', KEYS[1], now + ARGV[3], first)
return first
