-- Stores the status of an order, unless a newer one is stored; on a cluster the third step of storing a view.
--
-- KEYS[1]  order_status:<id>
-- KEYS[2]  revision and origin of that status, as <changes> <ETA computed at> <origin>
-- ARGV[1]  revision: changes; ARGV[2] revision: when the ETA was computed, epoch ms
-- ARGV[3]  origin
-- ARGV[4]  the status, JSON
-- ARGV[5]  expiry of both, seconds
-- Output   1 if it was stored, else 0
local known, known_eta, origin = string.match(redis.call('GET', KEYS[2]) or '', '^(%d+) (%d+) (.*)$')
known, known_eta = tonumber(known), tonumber(known_eta)
local is_same = known == tonumber(ARGV[1]) and known_eta == tonumber(ARGV[2])
if origin == ARGV[3] and not is_same and not is_newer(ARGV[1], ARGV[2], known, known_eta) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[4], 'EX', ARGV[5])
redis.call('SET', KEYS[2], table.concat({ ARGV[1], ARGV[2], ARGV[3] }, ' '), 'EX', ARGV[5])
return 1
