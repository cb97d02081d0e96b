-- Say when members of an index are due: so long from now, by the server's clock, which all processes share.
-- KEYS 1 index (zset member → ms)
-- ARGV 1 ms from now, 2 'XX' to change only what is there, else '', 3… members
local time = redis.call('TIME')
local at = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i = 3, #ARGV do
  if ARGV[2] == 'XX' then
    redis.call('ZADD', KEYS[1], 'XX', at, ARGV[i])
  else
    redis.call('ZADD', KEYS[1], at, ARGV[i])
  end
end
return 'OK'
