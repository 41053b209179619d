-- Removes the snapshot of an order, unless another one was stored in its place.
--
-- KEYS[1]  order:<id>, the snapshot
-- ARGV[1]  its revision: changes; ARGV[2] its revision: when the ETA was computed, epoch ms
-- ARGV[3]  its origin
-- Output   1 if it was removed, else 0
local known, known_eta = stored_revision(KEYS[1], ARGV[3])
if known ~= tonumber(ARGV[1]) or known_eta ~= tonumber(ARGV[2]) then
  return 0
end
return redis.call('DEL', KEYS[1])
