-- Give a session one of the places of its agent, or have it wait in order of arrival.
-- KEYS 1 places (zset session → ms until which it is held), 2 waiting (zset session → µs of arrival)
-- ARGV 1 session id, 2 number of places, 3 lease_ms, 4 ms that a place is kept for one that waits
-- Returns 1 when it has a place, else 0. Whoever has one and asks again keeps it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local limit, held = tonumber(ARGV[2]), redis.call('ZSCORE', KEYS[1], ARGV[1])
if not held then
  redis.call('ZADD', KEYS[2], 'NX', time[1] * 1000000 + time[2], ARGV[1])
  local free = limit - redis.call('ZCARD', KEYS[1])
  if redis.call('ZRANK', KEYS[2], ARGV[1]) >= free then
    -- Free places are kept for those who came before, for a while: they may never come.
    for _, first in ipairs(free > 0 and redis.call('ZRANGE', KEYS[2], 0, free - 1) or {}) do
      redis.call('ZREM', KEYS[2], first)
      redis.call('ZADD', KEYS[1], now + ARGV[4], first)
    end
    return 0
  end
  redis.call('ZREM', KEYS[2], ARGV[1])
end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
return 1
