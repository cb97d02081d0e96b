-- End a turn: history, inbox, last records, turn-complete, trim, run and status, all or nothing.
-- KEYS 1 session, 2 inbox, 3 outbox, 4 history, 5 edits, 6 injected messages
-- ARGV 1 epoch, 2 seq of the answered record, 3 history elements to keep (-1: all), 4 outbox channel,
--      5 queue of the warm worker, 6 ms that it stays warm, 7 headers of turn-complete ('': write none, trim nothing),
--      8 ms that the run goes on (0: it is over), 9 1 to count the turn,
--      10 injected messages that were taken over, 11 headers of session-closed ('': leave it open), 12 its reason;
--      then lists, each after its length: consumed seqs; index, message of each replaced message; new messages;
--      field, value of each field; then the turn's last records
-- turn-complete gets `settled` where messages right after the answered one need no turn any more (taken in or
-- cancelled): the highest seq up to which nothing waits.
-- Returns {'lost'} | {'ok', seq of the last turn-complete, unread records remain, queue}
-- A commit that comes a second time changes nothing.
local s = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'commit_epoch', 'out_seq', 'complete_seq', 'turn', 'status',
  'in_seq', 'run_turns', 'queue', 'closed', 'committed_queue',
  'stop_seq')
if s[1] ~= ARGV[1] then return {'lost'} end
if s[3] == ARGV[1] then return {'ok', tonumber(s[5]), s[7] == 'queued' and 1 or 0, s[12] or ''} end
if s[2] == '' then return {'lost'} end

local at = 13
local function take() at = at + 1 return ARGV[at - 1] end
local keep, cursor = tonumber(ARGV[3]), tonumber(ARGV[2])
if keep == 0 then redis.call('DEL', KEYS[4]) elseif keep > 0 then redis.call('LTRIM', KEYS[4], 0, keep - 1) end
local consumed = {}
for _ = 1, tonumber(take()) do
  local seq = take()
  consumed[seq] = true
  redis.call('XDEL', KEYS[2], (tonumber(seq) + 1) .. '-0')
end
for _ = 1, tonumber(take()) do redis.call('LSET', KEYS[4], take(), take()) end
for _ = 1, tonumber(take()) do redis.call('RPUSH', KEYS[4], take()) end
for _ = 1, tonumber(take()) do redis.call('HSET', KEYS[1], take(), take()) end
if tonumber(ARGV[10]) > 0 then redis.call('LTRIM', KEYS[6], ARGV[10], -1) end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seq, complete = tonumber(s[4]), tonumber(s[5])
local previous, bell = complete, {}
local function emit(record)
  seq = seq + 1
  redis.call('XADD', KEYS[3], (seq + 1) .. '-0', 'r', record)
  bell[#bell + 1] = record
end
while at <= #ARGV do emit(take()) end

local status, from, settled = 'idle', cursor + 2, cursor
repeat
  local entries = redis.call('XRANGE', KEYS[2], from .. '-0', '+', 'COUNT', 32)
  for _, entry in ipairs(entries) do
    local id = tonumber(string.match(entry[1], '^%d+'))
    if id > from then settled = id - 2 end
    from = id + 1
    if entry[2][2] ~= 'stop' then status = 'queued' break end
  end
until status == 'queued' or #entries == 0
if status == 'idle' and tonumber(s[8]) + 1 >= from then settled = tonumber(s[8]) end

if ARGV[7] ~= '' then
  local headers = ARGV[7]
  if settled > cursor then headers = string.sub(headers, 1, -2) .. ',"settled":' .. settled .. '}' end
  emit('#turn-complete ' .. headers)
  complete = seq
  -- Readers may still be at the previous turn-complete; what is before it is history.
  if previous >= 0 then redis.call('XTRIM', KEYS[3], 'MINID', (previous + 1) .. '-0') end
end
if ARGV[11] ~= '' and s[11] ~= '1' then
  emit('#session-closed ' .. ARGV[11])
  redis.call('HSET', KEYS[1], 'closed', 1, 'closed_reason', ARGV[12], 'closed_at', now)
end

redis.call('XTRIM', KEYS[2], 'MINID', (cursor + 2) .. '-0')
if status == 'idle' then cursor = tonumber(s[8]) end
for _, field in ipairs(redis.call('HKEYS', KEYS[5])) do
  local edited = string.sub(field, 2)
  if consumed[edited] or tonumber(edited) <= cursor then redis.call('HDEL', KEYS[5], field) end
end

-- A stop may be for the message that waited behind a preload.
if s[13] == ARGV[2] then redis.call('HSET', KEYS[1], 'stop_seq', -1, 'forget_seq', -1) end
-- Not kept warm at all: any worker may resume the run.
local warm_ms, run_ms = tonumber(ARGV[6]), tonumber(ARGV[8])
local warm = warm_ms > 0 and run_ms > 0 and ARGV[5] or ''
local queue = warm ~= '' and warm or s[10]
local counted = tonumber(ARGV[9])
redis.call('HSET', KEYS[1], 'out_seq', seq, 'complete_seq', complete, 'in_cursor', cursor, 'status', status,
  'queued_at', now, 'owner', '', 'lease_until', 0, 'commit_epoch', ARGV[1], 'committed_queue', queue,
  'turn', tonumber(s[6]) + counted, 'run_turns', tonumber(s[9] or 0) + counted, 'attempts', 0, 'turn_seq', -1,
  'taken', '', 'warm', warm, 'warm_until', now + warm_ms,
  'run_until', run_ms > 0 and now + run_ms or 0, 'suspended', warm == '' and run_ms > 0 and 1 or 0, 'updated_at', now)
if ARGV[7] == '' then redis.call('HSET', KEYS[1], 'preloaded', 1) end
if #bell > 0 then
  redis.call('PUBLISH', ARGV[4], (seq - #bell + 1) .. ' ' .. #bell .. '\n' .. table.concat(bell, '\n'))
end
return {'ok', complete, status == 'queued' and 1 or 0, queue}
