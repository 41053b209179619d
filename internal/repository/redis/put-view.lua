-- Stores the views of one order, unless the stored revision is the same or newer.
--
-- KEYS[1]  order:<id>, the snapshot; it begins with {"revision":[<changes>,<ETA computed at>]
-- KEYS[2]  order_status:<id>
-- KEYS[3]  customer:<id>:last_orders; repeats KEYS[1] if the order has no customer
-- ARGV[1]  revision: changes
-- ARGV[2]  revision: when the ETA was computed, epoch ms
-- ARGV[3]  the snapshot, JSON
-- ARGV[4]  the status, JSON
-- ARGV[5]  expiry of the status, seconds
-- ARGV[6]  order id
-- ARGV[7]  maximum length of the customer's list; 0 if the order is not added to it
-- ARGV[8]  expiry of the list, seconds
-- ARGV[9]  channel on which the order id is published
-- Output   1 if the views were stored, else 0. At most eight commands, all on one order.
local stored = redis.call('GET', KEYS[1])
local known, known_eta
if stored then
  known, known_eta = string.match(stored, '^{"revision":%[(%d+),(%d+)%]')
end
if known then
  local changes = tonumber(ARGV[1])
  known = tonumber(known)
  if known > changes or (known == changes and tonumber(known_eta) >= tonumber(ARGV[2])) then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[5])
-- LPOS: an order whose snapshot was evicted is already in the list and must not become its newest.
if ARGV[7] ~= '0' and not known and not redis.call('LPOS', KEYS[3], ARGV[6]) then
  redis.call('LPUSH', KEYS[3], ARGV[6])
  redis.call('LTRIM', KEYS[3], 0, ARGV[7] - 1)
  redis.call('EXPIRE', KEYS[3], ARGV[8])
end
redis.call('PUBLISH', ARGV[9], ARGV[6])
return 1
