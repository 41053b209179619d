-- The parts of storing a view. This text stands before each script that stores a view or a part of one.

-- The revision of the stored snapshot: changes, and when its ETA was computed. Nothing if the key holds no snapshot of this
-- origin. pcall: a key that holds a value of another type was not written by Tiffin and is replaced.
local function stored_revision(snapshot_key, origin)
  local stored = redis.pcall('GET', snapshot_key)
  if type(stored) ~= 'string' then
    return nil
  end
  local changes, eta, its = string.match(stored, '^{"revision":%[(%d+),(%d+)%],"origin":"([^"]*)"')
  if its ~= origin then
    return nil
  end
  return tonumber(changes), tonumber(eta)
end

-- True if there is no known revision, or it is older than this one.
local function is_newer(changes, eta, known, known_eta)
  changes = tonumber(changes)
  return not known or known < changes or (known == changes and known_eta < tonumber(eta))
end

-- 'older' if the known revision is the same or newer, 'newer' if it is older than this one, 'first' if there is none.
local function compared(changes, eta, known, known_eta)
  if not is_newer(changes, eta, known, known_eta) then
    return 'older'
  end
  return known and 'newer' or 'first'
end

-- Stores the snapshot, without expiry if ttl is 0, and publishes the order id on the channel.
local function put_snapshot(snapshot_key, snapshot, ttl, channel, order_id)
  if ttl == '0' then
    redis.call('SET', snapshot_key, snapshot)
  else
    redis.call('SET', snapshot_key, snapshot, 'EX', ttl)
  end
  redis.call('PUBLISH', channel, order_id)
end

-- Adds the order to the customer's list, which holds at most `length`, unless it is in it.
local function list_order(list_key, order_id, length, ttl)
  local place = redis.pcall('LPOS', list_key, order_id)
  if type(place) == 'table' then
    redis.call('DEL', list_key)
    place = false
  end
  if not place then
    redis.call('LPUSH', list_key, order_id)
    redis.call('LTRIM', list_key, 0, length - 1)
    redis.call('EXPIRE', list_key, ttl)
  end
end

