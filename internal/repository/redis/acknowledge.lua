-- Removes members that still carry the lease they were claimed under; one that was rescheduled meanwhile stays.
--
-- KEYS[1]  sorted set of waiting members
-- ARGV[1]  the lease, as the claim returned it
-- ARGV[2…] members, at most as many as one claim takes
-- Output   how many were removed
local lease = tonumber(ARGV[1])
local members = {}
for i = 2, #ARGV do
  members[i - 1] = ARGV[i]
end
local scores = redis.call('ZMSCORE', KEYS[1], unpack(members))
local done = {}
for i = 1, #members do
  if scores[i] and tonumber(scores[i]) == lease then
    done[#done + 1] = members[i]
  end
end
if #done == 0 then
  return 0
end
return redis.call('ZREM', KEYS[1], unpack(done))
