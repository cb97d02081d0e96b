-- Take the lease for the oldest unread message and fetch all that its turn needs.
-- KEYS 1 session, 2 inbox, 3 outbox, 4 history
-- ARGV 1 owner, 2 lease_ms, 3 epoch whose history the caller still holds (-1: none), 4 id for a new run,
--      5 outbox channel, 6 id of this claim
-- Returns {'missing'} | {'held'} | {'empty'} |
--   {'ok', fields (flat), seq, kind, payload, at_ms, stopped, history, records after the last turn-complete}
-- A claim that comes a second time with the same id gets the same answer.
local flat = redis.call('HGETALL', KEYS[1])
if #flat == 0 then return {'missing'} end
local s = {}
for i = 1, #flat, 2 do s[flat[i]] = flat[i + 1] end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local repeated = s.owner == ARGV[1] and s.claim == ARGV[6]
if s.owner ~= '' and tonumber(s.lease_until) > now and not repeated then return {'held'} end

local record
local from = tonumber(s.in_cursor) + 2
repeat
  local entries = redis.call('XRANGE', KEYS[2], from .. '-0', '+', 'COUNT', 32)
  for _, entry in ipairs(entries) do
    from = tonumber(string.match(entry[1], '^%d+')) + 1
    if entry[2][2] ~= 'stop' then record = entry break end
  end
until record or #entries == 0
if not record then
  redis.call('HSET', KEYS[1], 'in_cursor', s.in_seq, 'status', 'idle', 'owner', '', 'lease_until', 0)
  return {'empty'}
end

local seq, epoch = from - 2, tonumber(s.epoch)
if repeated then epoch = epoch - 1 end
local resumed = tonumber(s.turn_seq) == seq and not (repeated and s.attempts == '1')
local tail, history = {}, {}
if resumed then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[3], (tonumber(s.complete_seq) + 2) .. '-0', '+')) do
    tail[#tail + 1] = entry[2][2]
  end
end
local warm = epoch == tonumber(ARGV[3])
if not warm then history = redis.call('LRANGE', KEYS[4], 0, -1) end
if not repeated then
  if not warm then redis.call('HSET', KEYS[1], 'run_id', ARGV[4], 'previous_run_id', s.run_id or '') end
  local attempts = resumed and tonumber(s.attempts) + 1 or 1
  local out_seq = tonumber(s.out_seq) + 1
  local start = '#turn-start {"in":' .. seq .. ',"turn":' .. s.turn .. ',"attempt":' .. attempts .. '}'
  redis.call('XADD', KEYS[3], (out_seq + 1) .. '-0', 'r', start)
  redis.call('HSET', KEYS[1], 'epoch', epoch + 1, 'owner', ARGV[1], 'lease_until', now + ARGV[2], 'status', 'running',
    'turn_seq', seq, 'attempts', attempts, 'batch', 0, 'out_seq', out_seq, 'claim', ARGV[6])
  redis.call('PUBLISH', ARGV[5], out_seq .. ' 1\n' .. start)
end
local stopped = tonumber(s.stop_seq) == seq and 1 or 0
return {'ok', redis.call('HGETALL', KEYS[1]), seq, record[2][2], record[2][4], tonumber(record[2][6]), stopped,
  history, tail}
