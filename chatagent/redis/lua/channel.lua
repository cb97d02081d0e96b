-- Add a record to one side of a side channel and ring its doorbell.
-- KEYS 1 side (a hash with its end), 2 its log, 3 part (idempotency)
-- ARGV 1 record, 2 doorbell channel, 3 seconds a part id is remembered, 4 most records that are kept,
--      5 seconds that they are kept after the last one
-- Returns the record's seq; of a part that comes again, that of the first time.
local seen = redis.call('GET', KEYS[3])
if seen then return tonumber(seen) end
local seq = tonumber(redis.call('HGET', KEYS[1], 'out_seq') or -1) + 1
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[4], (seq + 1) .. '-0', 'r', ARGV[1])
redis.call('HSET', KEYS[1], 'out_seq', seq)
redis.call('SET', KEYS[3], seq, 'EX', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[5])
redis.call('PUBLISH', ARGV[2], seq .. ' 1\n' .. ARGV[1])
return seq
