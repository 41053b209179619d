-- Declares a shard complete: sets its state, and begins a new generation, in which every process counts from zero.
--
-- KEYS[1]  sorted set of waiting members
-- KEYS[2]  state of this shard
-- ARGV[1]  this process, and what it knows: ARGV[2] the generation, ARGV[3] its writes; see count-write.lua
-- ARGV[4]  the state, 'running' or 'paused'
-- ARGV[5]  the greatest generation that this process has known
-- Output   { write }, the output of count_write, with the new generation and no writes
local write = count_write(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
redis.call('SET', KEYS[2], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('%.0f', MARKS), '+inf')
-- A time, so that a rebuild without a memory of the last generation begins a greater one too.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local generation = math.max(now, ARGV[5] + 1, write[2] + 1)
set_mark(KEYS[1], 'generation', generation)
return { { write[1], generation, 0 } }
