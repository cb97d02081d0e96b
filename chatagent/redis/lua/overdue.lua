-- The members of an index that have been due for so long, by the server's clock, oldest first.
-- KEYS 1 index (zset member → ms)
-- ARGV 1 ms that they may be late, 2 most members to give
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1], 'LIMIT', 0, ARGV[2])
