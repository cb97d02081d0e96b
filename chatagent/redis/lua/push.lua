-- Put one record into the inbox and say whether a task must be enqueued.
-- KEYS 1 session, 2 inbox, 3 part (idempotency; equals KEYS[1] when the sender gave no part id)
-- ARGV 1 kind, 2 payload, 3 seconds a part id is remembered, 4 most unread records,
--      5 prefix of worker channels, 6 ms after which a task that never came is sent again,
--      7 busy policy ('': the session's own), 8 of a stop: seq of the record that it is for ('': whatever is answered)
-- Returns {'ok'|'duplicate', seq, out_cursor, enqueue, queue, agent} | {'missing'} | {'closed', reason} | {'full'} |
--   {'busy'} | {'other'} when a stop is for a record that is neither being answered nor the next to be
-- out_cursor is the last outbox record before anything that the answer can emit. A preload that comes too late to be
-- one is answered as a duplicate.
local s = redis.call('HMGET', KEYS[1], 'id', 'closed', 'closed_reason', 'status', 'in_seq', 'in_cursor', 'out_seq',
  'queue', 'agent', 'warm', 'warm_until', 'owner', 'turn_seq', 'lease_until', 'queued_at', 'busy', 'turn_kind',
  'run_id', 'expires_at')
if not s[1] then return {'missing'} end
if s[2] == '1' then return {'closed', s[3] or ''} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if s[19] and tonumber(s[19]) <= now then return {'closed', 'expired'} end
local part = KEYS[3] ~= KEYS[1]
if part then
  local seen = redis.call('GET', KEYS[3])
  if seen then
    local seq, cursor = string.match(seen, '^(%-?%d+) (%-?%d+)$')
    return {'duplicate', tonumber(seq), tonumber(cursor), 0, s[8], s[9]}
  end
end
local kind, status, cursor = ARGV[1], s[4], tonumber(s[6])
local seq = tonumber(s[5]) + 1
if kind == 'preload' and (status ~= 'idle' or (s[18] or '') ~= '') then
  return {'duplicate', seq - 1, tonumber(s[7]), 0, s[8], s[9]}
end

-- The record that is answered now, or next: what a stop is for, never a later one. Nobody waits for a preload.
local target = -1
if status == 'running' and (s[17] ~= 'preload' or kind == 'stop' and ARGV[8] == '') then
  target = tonumber(s[13])
elseif status ~= 'idle' then
  local from = cursor + 2
  repeat
    local entries = redis.call('XRANGE', KEYS[2], from .. '-0', '+', 'COUNT', 32)
    for _, entry in ipairs(entries) do
      from = tonumber(string.match(entry[1], '^%d+')) + 1
      if entry[2][2] ~= 'stop' and entry[2][2] ~= 'preload' then target = from - 2 break end
    end
  until target >= 0 or #entries == 0
end

if ARGV[8] ~= '' and tonumber(ARGV[8]) ~= target then return {'other'} end
local busy = ARGV[7] ~= '' and ARGV[7] or s[16] or 'enqueue'
if busy == 'reject' and target >= 0 then return {'busy'} end
if seq - cursor > tonumber(ARGV[4]) then return {'full'} end

redis.call('XADD', KEYS[2], (seq + 1) .. '-0', 'k', kind, 'p', ARGV[2], 't', now, 'b', busy)
redis.call('HSET', KEYS[1], 'in_seq', seq, 'updated_at', now)
if part then redis.call('SET', KEYS[3], seq .. ' ' .. s[7], 'EX', ARGV[3]) end

local stops = target >= 0 and (kind == 'stop' or busy == 'interrupt' or busy == 'rollback')
if stops then redis.call('HSET', KEYS[1], 'stop_seq', target) end
if stops and busy == 'rollback' then redis.call('HSET', KEYS[1], 'forget_seq', target) end

local enqueue, queue = 0, s[8]
if kind == 'stop' then
  if status == 'idle' then redis.call('HSET', KEYS[1], 'in_cursor', seq) end
elseif status == 'idle' then
  if s[10] and s[10] ~= '' and tonumber(s[11] or 0) > now then queue = s[10] end
  redis.call('HSET', KEYS[1], 'status', 'queued', 'queued_at', now)
  enqueue = 1
elseif status == 'running' and tonumber(s[14]) <= now then
  -- Its worker is dead; do not wait for the sweeper.
  redis.call('HSET', KEYS[1], 'status', 'queued', 'queued_at', now, 'owner', '')
  enqueue = 1
elseif status == 'queued' and tonumber(s[15]) + ARGV[6] <= now then
  redis.call('HSET', KEYS[1], 'queued_at', now)
  enqueue = 1
end
if status == 'running' then
  if stops and kind ~= 'stop' then redis.call('PUBLISH', ARGV[5] .. s[12], 'stop ' .. s[1] .. ' ' .. seq) end
  redis.call('PUBLISH', ARGV[5] .. s[12], kind .. ' ' .. s[1] .. ' ' .. seq)
end
return {'ok', seq, tonumber(s[7]), enqueue, queue, s[9]}
