-- Claims due members by setting each score to the end of a lease. A member whose lease is not acknowledged becomes due
-- again. The end of a lease has a fraction, which distinguishes it from a due time, and is unique within the shard, so
-- that removing all members with this score removes exactly the members of this claim.
--
-- KEYS[1]  sorted set of waiting members, scored by due time in epoch milliseconds
-- KEYS[2]  state of this shard: 'running' or 'paused'; absent if Redis lost its data
-- ARGV[1]  this process, and what it knows: ARGV[2] the generation, ARGV[3] its writes; see count-write.lua
-- ARGV[4]  maximum number of members to claim (bounds the script: 1,000 take about a millisecond)
-- ARGV[5]  length of the lease, milliseconds
-- ARGV[6]  the server's time, epoch ms, after which nothing is claimed, since the process no longer waits for the answer: a
--          server that was stopped runs what it had received before; or ''
-- ARGV[7]  the time, epoch ms, where the shards are on several servers with clocks of their own; else ''
-- Output   { write, state, now, server's time, lease, next due or '', member, score, member, score, ... } with the scores
--          before the lease, where write is the output of count_write
local clock = redis.call('TIME')
local server_time = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now = tonumber(ARGV[7]) or server_time
local limit = server_time > (tonumber(ARGV[6]) or server_time) and 0 or ARGV[4]
local write = count_write(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
local state = redis.call('GET', KEYS[2]) or 'lost'
if state ~= 'running' then
  return { write, state, now, server_time, '0', '' }
end

local lease = '0'
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
if #due > 0 then
  -- A double has enough precision for an epoch millisecond plus a multiple of 1/1024.
  local ends = now + tonumber(ARGV[5]) + 0.5
  lease = string.format('%.10f', ends)
  while redis.call('ZCOUNT', KEYS[1], lease, lease) > 0 do
    ends = ends + 1 / 1024
    lease = string.format('%.10f', ends)
  end
  local scored = {}
  for i = 1, #due, 2 do
    scored[i] = lease
    scored[i + 1] = due[i]
  end
  redis.call('ZADD', KEYS[1], unpack(scored))
end

local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local next_due = tonumber(first[2]) < MARKS and first[2] or ''
local answer = { write, state, now, server_time, lease, next_due }
for i = 1, #due do
  answer[i + 6] = due[i]
end
return answer
