-- Make a session, or find it.
-- KEYS 1 session, 2 history
-- ARGV 1 now_ms, 2 number of messages that a new one starts with, these, then field, value, … of a new session
-- Returns {'created'} | {'exists'} | {'closed', reason}
local known = redis.call('HMGET', KEYS[1], 'id', 'closed', 'closed_reason', 'expires_at')
if known[1] then
  if known[2] == '1' then return {'closed', known[3] or ''} end
  if known[4] and tonumber(known[4]) <= tonumber(ARGV[1]) then return {'closed', 'expired'} end
  return {'exists'}
end
local fields = 3 + tonumber(ARGV[2])
for i = 3, fields - 1 do redis.call('RPUSH', KEYS[2], ARGV[i]) end
redis.call('HSET', KEYS[1], 'status', 'idle', 'in_seq', -1, 'in_cursor', -1, 'out_seq', -1, 'complete_seq', -1,
  'turn_seq', -1, 'stop_seq', -1, 'epoch', 0, 'owner', '', 'lease_until', 0, 'turn', 0, 'attempts', 0,
  'closed', 0, 'created_at', ARGV[1], 'updated_at', ARGV[1], unpack(ARGV, fields))
return {'created'}
