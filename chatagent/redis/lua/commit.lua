-- End a turn: history, inbox cursor, last records, turn-complete, trim and status, all or nothing.
-- KEYS 1 session, 2 inbox, 3 outbox, 4 history
-- ARGV 1 epoch, 2 seq of the answered message, 3 history elements to keep (-1: all), 4 outbox channel,
--      5 queue of the warm worker, 6 ms that it stays warm, 7 headers of turn-complete,
--      8 number n of replaced messages, then n times index, message; number n of new messages, then those;
--      number n of fields, then n times field, value; then the turn's last records
-- Returns {'lost'} | {'ok', seq of turn-complete, unread messages remain, queue}
-- A commit that comes a second time changes nothing.
local s = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'commit_epoch', 'out_seq', 'complete_seq', 'turn', 'status',
  'in_seq', 'id')
if s[1] ~= ARGV[1] then return {'lost'} end
if s[3] == ARGV[1] then return {'ok', tonumber(s[5]), s[7] == 'queued' and 1 or 0, ARGV[5]} end
if s[2] == '' then return {'lost'} end

local keep = tonumber(ARGV[3])
if keep == 0 then redis.call('DEL', KEYS[4]) elseif keep > 0 then redis.call('LTRIM', KEYS[4], 0, keep - 1) end
local at = 8
local function take() at = at + 1 return ARGV[at - 1] end
for _ = 1, tonumber(take()) do redis.call('LSET', KEYS[4], take(), take()) end
for _ = 1, tonumber(take()) do redis.call('RPUSH', KEYS[4], take()) end
for _ = 1, tonumber(take()) do redis.call('HSET', KEYS[1], take(), take()) end

local seq = tonumber(s[4])
local bell = {}
local function emit(record)
  seq = seq + 1
  redis.call('XADD', KEYS[3], (seq + 1) .. '-0', 'r', record)
  bell[#bell + 1] = record
end
while at <= #ARGV do emit(take()) end
emit('#turn-complete ' .. ARGV[7])

-- Readers may still be at the previous turn-complete; what is before it is history.
local previous, cursor = tonumber(s[5]), tonumber(ARGV[2])
if previous >= 0 then redis.call('XTRIM', KEYS[3], 'MINID', (previous + 1) .. '-0') end
redis.call('XTRIM', KEYS[2], 'MINID', (cursor + 2) .. '-0')

local status, from = 'idle', cursor + 2
repeat
  local entries = redis.call('XRANGE', KEYS[2], from .. '-0', '+', 'COUNT', 32)
  for _, entry in ipairs(entries) do
    from = tonumber(string.match(entry[1], '^%d+')) + 1
    if entry[2][2] ~= 'stop' then status = 'queued' break end
  end
until status == 'queued' or #entries == 0
if status == 'idle' then cursor = tonumber(s[8]) end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'out_seq', seq, 'complete_seq', seq, 'in_cursor', cursor, 'status', status,
  'queued_at', now, 'owner', '', 'lease_until', 0, 'commit_epoch', ARGV[1], 'turn', tonumber(s[6]) + 1, 'attempts', 0,
  'turn_seq', -1, 'stop_seq', -1, 'warm', ARGV[5], 'warm_until', now + ARGV[6], 'updated_at', now)
redis.call('PUBLISH', ARGV[4], (seq - #bell + 1) .. ' ' .. #bell .. '\n' .. table.concat(bell, '\n'))
return {'ok', seq, status == 'queued' and 1 or 0, ARGV[5]}
