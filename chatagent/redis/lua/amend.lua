-- Change history and fields after a commit, while nothing has been claimed since.
-- KEYS 1 session, 2 history
-- ARGV 1 epoch of the committed turn, 2 id of this change, 3 history elements to keep (-1: all),
--      4 ms that the run goes on from now ('': as it was, 0: it is over); then lists, each after its length: index, message of each replaced message; new messages; field, value of each field
-- Returns {'late'} | {'ok'}. A change that comes a second time is not made again.
local s = redis.call('HMGET', KEYS[1], 'epoch', 'commit_epoch', 'amendment')
if s[3] == ARGV[2] then return {'ok'} end
if s[1] ~= ARGV[1] or s[2] ~= ARGV[1] then return {'late'} end
local at = 5
local function take() at = at + 1 return ARGV[at - 1] end
local keep = tonumber(ARGV[3])
if keep == 0 then redis.call('DEL', KEYS[2]) elseif keep > 0 then redis.call('LTRIM', KEYS[2], 0, keep - 1) end
for _ = 1, tonumber(take()) do redis.call('LSET', KEYS[2], take(), take()) end
for _ = 1, tonumber(take()) do redis.call('RPUSH', KEYS[2], take()) end
for _ = 1, tonumber(take()) do redis.call('HSET', KEYS[1], take(), take()) end
if ARGV[4] == '0' then
  redis.call('HSET', KEYS[1], 'run_until', 0, 'warm', '', 'suspended', 0)
elseif ARGV[4] ~= '' then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'run_until', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[4]))
end
redis.call('HSET', KEYS[1], 'amendment', ARGV[2])
return {'ok'}
