-- Reserve unread messages for the running turn, so that they can no longer be edited or cancelled.
-- KEYS 1 session, 2 inbox, 3 edits
-- ARGV 1 epoch, then the busy policies of the messages that are wanted (none: all)
-- Returns {'lost'} | {'ok', entries that are reserved, edits (flat)}
-- A take that comes a second time gets the same answer: what is reserved already is among it.
local s = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'turn_seq', 'taken')
if s[1] ~= ARGV[1] or s[2] == '' then return {'lost'} end
local wanted = {}
for i = 2, #ARGV do wanted[ARGV[i]] = true end
local found, taken = {}, s[4] or ''
local from = tonumber(s[3]) + 2
repeat
  local entries = redis.call('XRANGE', KEYS[2], from .. '-0', '+', 'COUNT', 32)
  for _, entry in ipairs(entries) do
    from = tonumber(string.match(entry[1], '^%d+')) + 1
    if entry[2][2] == 'message' then
      local seq = from - 2
      if #ARGV == 1 or wanted[redis.call('HGET', KEYS[3], 'b' .. seq) or entry[2][8] or 'enqueue'] then
        found[#found + 1] = entry
        if not string.find(taken, ' ' .. seq .. ' ', 1, true) then taken = taken .. ' ' .. seq .. ' ' end
      end
    end
  end
until #entries == 0
redis.call('HSET', KEYS[1], 'taken', taken)
return {'ok', found, redis.call('HGETALL', KEYS[3])}
