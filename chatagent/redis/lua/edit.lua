-- Change an unread message where it stands in the queue.
-- KEYS 1 session, 2 inbox, 3 edits, 4 outbox (unused)
-- ARGV 1 seq, 2 id of this change, 3 payload ('': as it is), 4 busy policy ('': as it is), 5 prefix of worker channels
-- Returns {'missing'} | {'gone'} when it is being answered or has been | {'ok'}
-- A change that comes a second time gets the same answer.
local s = redis.call('HMGET', KEYS[1], 'id', 'in_cursor', 'turn_seq', 'taken', 'status', 'owner',
  'turn_kind')
if not s[1] then return {'missing'} end
local seq = tonumber(ARGV[1])
if redis.call('HGET', KEYS[3], 't' .. seq) == ARGV[2] then return {'ok'} end
if seq <= tonumber(s[2]) or s[3] == ARGV[1] or string.find(s[4] or '', ' ' .. seq .. ' ', 1, true) then
  return {'gone'}
end
local entry = redis.call('XRANGE', KEYS[2], (seq + 1) .. '-0', (seq + 1) .. '-0')[1]
if not entry or entry[2][2] == 'stop' then return {'gone'} end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[3], 'p' .. seq, ARGV[3]) end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[3], 'b' .. seq, ARGV[4]) end
redis.call('HSET', KEYS[3], 't' .. seq, ARGV[2])
redis.call('PERSIST', KEYS[3])
if s[5] == 'running' then
  if s[7] ~= 'preload' and (ARGV[4] == 'interrupt' or ARGV[4] == 'rollback') then
    redis.call('HSET', KEYS[1], 'stop_seq', s[3])
    if ARGV[4] == 'rollback' then redis.call('HSET', KEYS[1], 'forget_seq', s[3]) end
    redis.call('PUBLISH', ARGV[5] .. s[6], 'stop ' .. s[1] .. ' ' .. seq)
  end
  redis.call('PUBLISH', ARGV[5] .. s[6], entry[2][2] .. ' ' .. s[1] .. ' ' .. seq)
end
return {'ok'}
