-- Add a batch of records to the outbox and ring its doorbell, for the holder of the lease only.
-- KEYS 1 session, 2 outbox
-- ARGV 1 epoch, 2 number of this batch in its turn (from 1), 3 lease_ms, 4 outbox channel,
--      5 most bytes that a doorbell carries, 6… records
-- Returns {'lost'} | {'ok', last seq, stopped, unread records, forgotten}. A batch that comes a second time is not written again.
local s = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'out_seq', 'batch', 'stop_seq', 'turn_seq',
  'in_seq', 'forget_seq')
if s[1] ~= ARGV[1] or s[2] == '' then return {'lost'} end
local stopped = s[5] == s[6] and 1 or 0
local unread, forgotten = tonumber(s[7]) - tonumber(s[6]), s[8] == s[6] and 1 or 0
local batch, seq = tonumber(ARGV[2]), tonumber(s[3])
if batch == tonumber(s[4]) then return {'ok', seq, stopped, unread, forgotten} end
-- A gap means that Redis came back without our last writes: what is in the log is all that counts.
if batch ~= tonumber(s[4]) + 1 then return {'lost'} end

local first, bytes = seq + 1, 0
for i = 6, #ARGV do
  seq = seq + 1
  bytes = bytes + #ARGV[i]
  redis.call('XADD', KEYS[2], (seq + 1) .. '-0', 'r', ARGV[i])
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'out_seq', seq, 'batch', batch, 'lease_until', now + ARGV[3])
local bell = first .. ' ' .. (seq - first + 1)
if bytes <= tonumber(ARGV[5]) then bell = bell .. '\n' .. table.concat(ARGV, '\n', 6) end
redis.call('PUBLISH', ARGV[4], bell)
return {'ok', seq, stopped, unread, forgotten}
