-- Compares the revision of a view with that of the stored one; on a cluster the first step of storing a view.
--
-- KEYS[1]  order:<id>, the snapshot
-- ARGV[1]  revision: changes; ARGV[2] revision: when the ETA was computed, epoch ms
-- ARGV[3]  origin
-- Output   'older' if the stored view is the same or newer, 'newer' if it is older, 'first' if there is none
return compared(ARGV[1], ARGV[2], stored_revision(KEYS[1], ARGV[3]))
