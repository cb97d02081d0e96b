-- Take an unread record out of the queue.
-- KEYS 1 session, 2 inbox, 3 edits, 4 outbox
-- ARGV 1 seq, 2 id of this call, 3 seconds it is remembered in a chat that goes idle, 4 outbox channel
-- Returns {'missing'} | {'gone'} when it is being answered or has been | {'ok'}
-- A call that comes a second time gets the same answer.
-- message-cancelled gets `settled` when no turn is left to tell it: the highest seq up to which nothing waits.
local s = redis.call('HMGET', KEYS[1], 'id', 'in_cursor', 'turn_seq', 'taken', 'status', 'in_seq', 'out_seq',
  'turn_kind')
if not s[1] then return {'missing'} end
local seq = tonumber(ARGV[1])
if redis.call('HGET', KEYS[3], 't' .. seq) == ARGV[2] then return {'ok'} end
if seq <= tonumber(s[2]) or s[3] == ARGV[1] or string.find(s[4] or '', ' ' .. seq .. ' ', 1, true) then
  return {'gone'}
end
local id = (seq + 1) .. '-0'
local entry = redis.call('XRANGE', KEYS[2], id, id)[1]
if not entry or entry[2][2] == 'stop' then return {'gone'} end
redis.call('XDEL', KEYS[2], id)
redis.call('HDEL', KEYS[3], 'p' .. seq, 'b' .. seq)
redis.call('HSET', KEYS[3], 't' .. seq, ARGV[2])

-- A preload that runs tells nothing at its end.
local preload = s[5] == 'running' and s[8] == 'preload'
local cursor = tonumber(preload and s[3] or s[2])
local left, from, settled = false, cursor + 2, cursor
repeat
  local entries = redis.call('XRANGE', KEYS[2], from .. '-0', '+', 'COUNT', 32)
  for _, other in ipairs(entries) do
    local other_id = tonumber(string.match(other[1], '^%d+'))
    if other_id > from then settled = other_id - 2 end
    from = other_id + 1
    if other[2][2] ~= 'stop' then left = true break end
  end
until left or #entries == 0
if not left then settled = tonumber(s[6]) end

-- Who waits for its answer waits for nothing.
local out_seq = tonumber(s[7]) + 1
local told = settled >= seq and ',"settled":' .. settled or ''
local record = '#message-cancelled {"in":' .. seq .. told .. '}'
redis.call('XADD', KEYS[4], (out_seq + 1) .. '-0', 'r', record)
redis.call('HSET', KEYS[1], 'out_seq', out_seq)
redis.call('PUBLISH', ARGV[4], out_seq .. ' 1\n' .. record)

if s[5] == 'queued' and not left then
  redis.call('HSET', KEYS[1], 'status', 'idle', 'in_cursor', s[6])
  redis.call('EXPIRE', KEYS[3], ARGV[3])
end
return {'ok'}
