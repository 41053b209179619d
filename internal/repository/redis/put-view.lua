-- Stores the views of one order, unless what is there is as new or newer.
--
-- KEYS[1]  order:<id>, the snapshot; it begins with {"revision":<number>
-- KEYS[2]  order_status:<id>
-- KEYS[3]  customer:<id>:last_orders; the snapshot's key once more where there is no customer
-- ARGV[1]  revision
-- ARGV[2]  the snapshot, JSON
-- ARGV[3]  the status, JSON
-- ARGV[4]  how long the status lives, seconds
-- ARGV[5]  order id
-- ARGV[6]  how many orders the customer's list holds; 0 where the order does not go there
-- ARGV[7]  how long the list lives, seconds
-- ARGV[8]  channel on which listeners are told the order's id
-- Output   1 where it was stored, else 0. A handful of commands on one order.
local stored = redis.call('GET', KEYS[1])
local known = stored and tonumber(string.match(stored, '^{"revision":(%d+)'))
if known and known >= tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[3], 'EX', ARGV[4])
if ARGV[6] ~= '0' and not known then
  redis.call('LREM', KEYS[3], 0, ARGV[5])
  redis.call('LPUSH', KEYS[3], ARGV[5])
  redis.call('LTRIM', KEYS[3], 0, ARGV[6] - 1)
  redis.call('EXPIRE', KEYS[3], ARGV[7])
end
redis.call('PUBLISH', ARGV[8], ARGV[5])
return 1
