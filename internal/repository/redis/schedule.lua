-- Adds or moves members of one shard.
--
-- KEYS[1]  sorted set of waiting members
-- KEYS[2]  state of this shard
-- ARGV[1]  this process, and what it knows: ARGV[2] the generation, ARGV[3] its writes; see count-write.lua
-- ARGV[4]  'all', 'missing': only members that are not in the set, or 'earlier': these, and those that are in the set with
--          a later due time; the end of a lease is no due time
-- ARGV[5]  due time, ARGV[6] member, and so on, at most 1,000 of each
-- Output   { write, number added; with 'earlier', number added or moved }, where write is the output of count_write
local write = count_write(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
local scored = {}
for i = 5, #ARGV, 2 do
  local score = ARGV[4] == 'earlier' and tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i + 1]) or nil)
  if not score or (score % 1 == 0 and score > tonumber(ARGV[i])) then
    scored[#scored + 1] = ARGV[i]
    scored[#scored + 1] = ARGV[i + 1]
  end
end
if #scored == 0 then
  return { write, 0 }
end
if ARGV[4] == 'missing' then
  return { write, redis.call('ZADD', KEYS[1], 'NX', unpack(scored)) }
end
local added = redis.call('ZADD', KEYS[1], unpack(scored))
return { write, ARGV[4] == 'earlier' and #scored / 2 or added }
