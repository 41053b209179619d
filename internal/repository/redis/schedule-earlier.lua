-- Adds members that are not in the set of one shard, and moves those that are in it with a later due time.
--
-- KEYS[1]  sorted set of waiting members
-- KEYS[2]  state of this shard
-- ARGV[1]  this process, and what it knows: ARGV[2] the generation, ARGV[3] its writes; see count-write.lua
-- ARGV[4]  due time, ARGV[5] member, and so on, at most 1,000 of each
-- Output   { write, number added or moved }, where write is the output of count_write
local write = count_write(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
local scored = {}
for i = 4, #ARGV, 2 do
  local score = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i + 1]) or nil)
  -- The end of a lease, which has a fraction, is no due time.
  if not score or (score % 1 == 0 and score > tonumber(ARGV[i])) then
    scored[#scored + 1] = ARGV[i]
    scored[#scored + 1] = ARGV[i + 1]
  end
end
if #scored > 0 then
  redis.call('ZADD', KEYS[1], unpack(scored))
end
return { write, #scored / 2 }
