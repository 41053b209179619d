-- Counts a write of the process to one shard; another command of the same transaction writes.
--
-- KEYS[1]  sorted set of waiting members
-- KEYS[2]  state of this shard
-- ARGV[1]  this process, and what it knows: ARGV[2] the generation, ARGV[3] its writes; see count-write.lua
-- Output   the output of count_write
return count_write(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
