-- Add raw records of another session's task to an outbox and ring its doorbell, while a turn of it runs.
-- KEYS 1 session, 2 outbox, 3 number of the writer's last batch (a string)
-- ARGV 1 number of the turn that must run ('' for any), 2 number of this batch, 3 outbox channel,
--      4 most bytes that a doorbell carries, 5 seconds a writer is remembered, 6… records
-- Returns {'missing'} | {'idle'} | {'ok'}. A batch that comes a second time is not written again.
-- A turn that lost its worker still runs: its next attempt goes on with the same log.
local s = redis.call('HMGET', KEYS[1], 'id', 'turn_seq', 'turn', 'out_seq')
if not s[1] then return {'missing'} end
if tonumber(redis.call('GET', KEYS[3]) or 0) >= tonumber(ARGV[2]) then return {'ok'} end
if s[2] == '-1' or (ARGV[1] ~= '' and s[3] ~= ARGV[1]) then return {'idle'} end
local seq = tonumber(s[4])
local first, bytes = seq + 1, 0
for i = 6, #ARGV do
  seq = seq + 1
  bytes = bytes + #ARGV[i]
  redis.call('XADD', KEYS[2], (seq + 1) .. '-0', 'r', ARGV[i])
end
redis.call('HSET', KEYS[1], 'out_seq', seq)
redis.call('SET', KEYS[3], ARGV[2], 'EX', ARGV[5])
local bell = first .. ' ' .. (seq - first + 1)
if bytes <= tonumber(ARGV[4]) then bell = bell .. '\n' .. table.concat(ARGV, '\n', 6) end
redis.call('PUBLISH', ARGV[3], bell)
return {'ok'}
