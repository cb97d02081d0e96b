-- Take the lease for the oldest unread record and fetch all that its turn needs.
-- KEYS 1 session, 2 inbox, 3 outbox, 4 history, 5 edits, 6 injected messages
-- ARGV 1 owner, 2 lease_ms, 3 epoch whose history the caller still holds (-1: none), 4 id for a new run,
--      5 outbox channel, 6 id of this claim, 7 busy policy of the agent, 8 most waiting records to fetch
-- Returns {'missing'} | {'held'} | {'empty'} |
--   {'ok', fields (flat), entry, stopped, forgotten, history (empty when warm), records after the last
--    turn-complete, waiting entries, edits (flat), injected messages}
-- A claim that comes a second time with the same id gets the same answer.
local flat = redis.call('HGETALL', KEYS[1])
if #flat == 0 then return {'missing'} end
local s = {}
for i = 1, #flat, 2 do s[flat[i]] = flat[i + 1] end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local repeated = s.owner == ARGV[1] and s.claim == ARGV[6]
if s.owner ~= '' and tonumber(s.lease_until) > now and not repeated then return {'held'} end

local record, waiting, most = nil, {}, tonumber(ARGV[8])
local from = tonumber(s.in_cursor) + 2
repeat
  local entries = redis.call('XRANGE', KEYS[2], from .. '-0', '+', 'COUNT', 32)
  for _, entry in ipairs(entries) do
    from = tonumber(string.match(entry[1], '^%d+')) + 1
    if entry[2][2] ~= 'stop' then
      if not record then record = entry elseif #waiting < most then waiting[#waiting + 1] = entry end
    end
  end
until #entries == 0 or #waiting == most
if not record then
  redis.call('HSET', KEYS[1], 'in_cursor', s.in_seq, 'status', 'idle', 'owner', '', 'lease_until', 0)
  return {'empty'}
end

local seq, kind = tonumber(string.match(record[1], '^%d+')) - 1, record[2][2]
local cause, state = s.cause, s.run_state
if not repeated then
  local resumed = tonumber(s.turn_seq) == seq
  local over = not s.run_id or s.run_id == '' or tonumber(s.run_until or 0) <= now
  cause = resumed and (s.handed_back == '1' and 'shutdown' or 'crashed') or ''
  if resumed or over then
    state = 'new'
  elseif s.suspended == '1' then
    state = 'suspended'
  else
    state = s.epoch == ARGV[3] and 'warm' or 'new'
  end
  if state == 'new' then
    redis.call('HSET', KEYS[1], 'run_id', ARGV[4], 'previous_run_id', s.run_id or '', 'run_turns', 0, 'preloaded', 0)
  end
end
local tail, history = {}, {}
if cause ~= '' then
  local last = tonumber(s.out_seq)
  -- What the first of two equal claims wrote itself is not the dead attempt's.
  if repeated and kind ~= 'preload' then last = last - 1 end
  local first = tonumber(s.complete_seq) + 1
  if first <= last then
    for _, entry in ipairs(redis.call('XRANGE', KEYS[3], (first + 1) .. '-0', (last + 1) .. '-0')) do
      tail[#tail + 1] = entry[2][2]
    end
  end
end
if state ~= 'warm' then history = redis.call('LRANGE', KEYS[4], 0, -1) end
if not repeated then
  local attempts = cause ~= '' and tonumber(s.attempts) + 1 or 1
  local out_seq = tonumber(s.out_seq)
  if kind ~= 'preload' then
    out_seq = out_seq + 1
    local start = '#turn-start {"in":' .. seq .. ',"turn":' .. s.turn .. ',"attempt":' .. attempts .. '}'
    redis.call('XADD', KEYS[3], (out_seq + 1) .. '-0', 'r', start)
    redis.call('PUBLISH', ARGV[5], out_seq .. ' 1\n' .. start)
  end
  redis.call('HSET', KEYS[1], 'epoch', tonumber(s.epoch) + 1, 'owner', ARGV[1], 'lease_until', now + ARGV[2],
    'status', 'running', 'turn_seq', seq, 'turn_kind', kind, 'attempts', attempts, 'batch', 0, 'out_seq', out_seq,
    'claim', ARGV[6], 'run_state', state, 'cause', cause, 'handed_back', 0, 'suspended', 0, 'warm', '', 'busy', ARGV[7])
  -- What a dead attempt had merged into its turn stays reserved: it is this one's, too.
  local merged = cause ~= '' and s.merged or ''
  redis.call('HSET', KEYS[1], 'merged', merged, 'taken', (string.gsub(merged, '%D*(%d+)%D*', ' %1 ')))
end
local stopped = tonumber(s.stop_seq) == seq and 1 or 0
local forgotten = tonumber(s.forget_seq or -1) == seq and 1 or 0
return {'ok', redis.call('HGETALL', KEYS[1]), record, stopped, forgotten, history, tail, waiting,
  redis.call('HGETALL', KEYS[5]), redis.call('LRANGE', KEYS[6], 0, -1)}
