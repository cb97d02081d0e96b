-- Say what a session without a live turn needs: hand it back, or find that its lease died or its task never came.
-- KEYS 1 session
-- ARGV 1 epoch of a holder that hands its turn back ('' from the sweeper), 2 ms that a task may take to come
-- Returns {'missing'} | {'idle'} | {'held', lease_until} | {'waiting', due_ms} | {'lost'} | {'queued', agent, queue}
-- 'queued' is answered once: the caller must enqueue.
local s = redis.call('HMGET', KEYS[1], 'id', 'status', 'owner', 'lease_until', 'queued_at', 'agent', 'queue', 'epoch',
  'attempts')
if not s[1] then return {'missing'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] ~= '' then
  if s[8] ~= ARGV[1] or s[3] == '' then return {'lost'} end
  -- Handing back is no failed attempt.
  redis.call('HSET', KEYS[1], 'attempts', math.max(0, tonumber(s[9]) - 1), 'handed_back', 1)
elseif s[2] == 'running' then
  if s[3] ~= '' and tonumber(s[4]) > now then return {'held', tonumber(s[4])} end
elseif s[2] == 'queued' then
  local due = tonumber(s[5] or 0) + ARGV[2]
  if due > now then return {'waiting', due} end
else
  return {'idle'}
end
redis.call('HSET', KEYS[1], 'status', 'queued', 'queued_at', now, 'owner', '', 'lease_until', 0, 'warm', '',
  'warm_until', 0)
return {'queued', s[6], s[7]}
