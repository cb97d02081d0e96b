-- Close a session for good; the first reason stays.
-- KEYS 1 session, 2 outbox
-- ARGV 1 reason, 2 outbox channel, 3 prefix of worker channels, 4 headers of the session-closed record
-- Returns {'missing'} | {'ok', reason}
local s = redis.call('HMGET', KEYS[1], 'id', 'closed', 'closed_reason', 'out_seq', 'owner')
if not s[1] then return {'missing'} end
if s[2] == '1' then return {'ok', s[3] or ''} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seq = tonumber(s[4]) + 1
local record = '#session-closed ' .. ARGV[4]
redis.call('XADD', KEYS[2], (seq + 1) .. '-0', 'r', record)
redis.call('HSET', KEYS[1], 'closed', 1, 'closed_reason', ARGV[1], 'closed_at', now, 'updated_at', now, 'out_seq', seq)
redis.call('PUBLISH', ARGV[2], seq .. ' 1\n' .. record)
if s[5] ~= '' then redis.call('PUBLISH', ARGV[3] .. s[5], 'close ' .. s[1] .. ' ' .. seq) end
return {'ok', ARGV[1]}
