-- Finds out whether Redis has lost writes to a shard, as after a restart from an older snapshot, the promotion of a lagging
-- replica, or the deletion of the set. This text stands before each script that writes to a shard.
--
-- The set holds marks beside its members: its generation, which every rebuild raises, and the number of writes of each
-- process since then. A process repeats what Redis has told it; a set that knows less has lost a write of this process.

-- Scores of marks are greater than the last time of JavaScript, 8.64e15 ms, and smaller than 2^53.
local MARKS = 9e15

local function mark_of(due_key, name)
  return tonumber(redis.call('ZSCORE', due_key, name) or MARKS) - MARKS
end

local function set_mark(due_key, name, value)
  redis.call('ZADD', due_key, string.format('%.0f', MARKS + value), name)
end

-- Counts a write of the process; if the set has lost one, deletes the state, so that the schedule is rebuilt.
-- Output: { 1 if it has lost one, else 0; generation; writes }
local function count_write(due_key, state_key, process, known_generation, known_writes)
  local generation = mark_of(due_key, 'generation')
  local writes = mark_of(due_key, process) + 1
  local known = tonumber(known_generation)
  local lost = generation < known or (generation == known and writes <= tonumber(known_writes))
  if lost then redis.call('DEL', state_key) end
  set_mark(due_key, process, writes)
  return { lost and 1 or 0, generation, writes }
end

