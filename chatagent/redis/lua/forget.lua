-- Drop a member of an index, unless it was put there anew since the caller looked.
-- KEYS 1 index (zset member → ms)
-- ARGV 1 member, 2 its score as the caller saw it
-- Returns 1 when it was dropped, else 0
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
