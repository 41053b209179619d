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
-- ARGV[6]   the status, JSON
-- ARGV[7]   expiry of the status, seconds
-- ARGV[8]   order id
-- ARGV[9]   maximum length of the customer's list; 0 if the order is not added to it
-- ARGV[10]  expiry of the list, seconds
-- ARGV[11]  channel on which the order id is published
-- Output    1 if the views were stored, else 0. At most nine commands, all on one order.
-- pcall: a key that holds a value of another type was not written by Tiffin and is replaced.
local stored = redis.pcall('GET', KEYS[1])
local known, known_eta, origin
if type(stored) == 'string' then
  known, known_eta, origin = string.match(stored, '^{"revision":%[(%d+),(%d+)%],"origin":"([^"]*)"')
end
if origin ~= ARGV[3] then
  known = nil
end
if known then
  local changes = tonumber(ARGV[1])
  known = tonumber(known)
  if known > changes or (known == changes and tonumber(known_eta) >= tonumber(ARGV[2])) then
    return 0
  end
end
if ARGV[5] == '0' then
  redis.call('SET', KEYS[1], ARGV[4])
else
  redis.call('SET', KEYS[1], ARGV[4], 'EX', ARGV[5])
end
redis.call('SET', KEYS[2], ARGV[6], 'EX', ARGV[7])
-- LPOS: an order whose snapshot has expired or was evicted is already in the list and must not become its newest.
local is_listed = ARGV[9] == '0' or known or redis.pcall('LPOS', KEYS[3], ARGV[8])
if type(is_listed) == 'table' then
  redis.call('DEL', KEYS[3])
  is_listed = false
end
if not is_listed then
  redis.call('LPUSH', KEYS[3], ARGV[8])
  redis.call('LTRIM', KEYS[3], 0, ARGV[9] - 1)
  redis.call('EXPIRE', KEYS[3], ARGV[10])
end
redis.call('PUBLISH', ARGV[11], ARGV[8])
return 1
