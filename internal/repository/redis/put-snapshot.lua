-- Stores the snapshot of an order and publishes its id, unless the stored one is the same or newer; on a cluster the last step
-- of storing a view.
--
-- KEYS[1]  order:<id>, the snapshot
-- ARGV[1]  revision: changes; ARGV[2] revision: when the ETA was computed, epoch ms
-- ARGV[3]  origin
-- ARGV[4]  the snapshot, JSON
-- ARGV[5]  expiry of the snapshot, seconds; 0 for none
-- ARGV[6]  channel on which the order id is published
-- ARGV[7]  order id
-- Output   as of look-at-view.lua; it was stored unless it is 'older'
local found = compared(ARGV[1], ARGV[2], stored_revision(KEYS[1], ARGV[3]))
if found == 'older' then
  return found
end
put_snapshot(KEYS[1], ARGV[4], ARGV[5], ARGV[6], ARGV[7])
return found
