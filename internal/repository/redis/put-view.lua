-- Stores the views of one order, unless the stored revision is the same or newer. A stored view of another origin (another
-- database, or another form of the snapshot) counts as none.
--
-- KEYS[1]   order:<id>, the snapshot; it begins with {"revision":[<changes>,<ETA computed at>],"origin":"<origin>"
-- KEYS[2]   order_status:<id>
-- KEYS[3]   customer:<id>:last_orders; repeats KEYS[1] if the order has no customer
-- ARGV[1]   revision: changes
-- ARGV[2]   revision: when the ETA was computed, epoch ms
-- ARGV[3]   origin
-- ARGV[4]   the snapshot, JSON
-- ARGV[5]   expiry of the snapshot, seconds; 0 for none
-- ARGV[6]   channel on which the order id is published
-- ARGV[7]   order id
-- ARGV[8]   the status, JSON
-- ARGV[9]   expiry of the status, seconds
-- ARGV[10]  maximum length of the customer's list; 0 if the order is not added to it
-- ARGV[11]  expiry of the list, seconds
-- Output    as of look-at-view.lua; the views were stored unless it is 'older'. At most nine commands, all on one order.
local found = compared(ARGV[1], ARGV[2], stored_revision(KEYS[1], ARGV[3]))
if found == 'older' then
  return found
end
redis.call('SET', KEYS[2], ARGV[8], 'EX', ARGV[9])
-- An order whose snapshot has expired or was evicted may be in the list already, and must not become its newest.
if ARGV[10] ~= '0' and found == 'first' then
  list_order(KEYS[3], ARGV[7], ARGV[10], ARGV[11])
end
put_snapshot(KEYS[1], ARGV[4], ARGV[5], ARGV[6], ARGV[7])
return found
