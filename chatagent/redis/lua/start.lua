-- Make the session of a task run, with its input unread in the inbox; or find that it is there.
-- KEYS 1 session, 2 inbox
-- ARGV 1 input, 2 seconds after which a run that never ended is forgotten, then field, value, … of the new session
-- Returns {'created'} | {'exists'}
if redis.call('EXISTS', KEYS[1]) == 1 then return {'exists'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'status', 'queued', 'queued_at', now, 'in_seq', 0, 'in_cursor', -1, 'out_seq', -1,
  'complete_seq', -1, 'turn_seq', -1, 'stop_seq', -1, 'epoch', 0, 'owner', '', 'lease_until', 0, 'turn', 0,
  'attempts', 0, 'closed', 0, 'created_at', now, 'updated_at', now, unpack(ARGV, 3))
redis.call('XADD', KEYS[2], '1-0', 'k', 'message', 'p', ARGV[1], 't', now)
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return {'created'}
