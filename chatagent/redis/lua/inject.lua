-- Put model messages where a running turn finds them between two steps, else the next turn.
-- KEYS 1 session, 2 injected messages, 3 part (idempotency)
-- ARGV 1 seconds a part is remembered, 2 prefix of worker channels, 3… messages
-- Returns {'missing'} | {'ok'}. A call that comes a second time adds nothing.
local s = redis.call('HMGET', KEYS[1], 'id', 'status', 'owner', 'turn_seq')
if not s[1] then return {'missing'} end
if redis.call('SET', KEYS[3], 1, 'NX', 'EX', ARGV[1]) then
  for i = 3, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
  if s[2] == 'running' then redis.call('PUBLISH', ARGV[2] .. s[3], 'inject ' .. s[1] .. ' ' .. s[4]) end
end
return {'ok'}
