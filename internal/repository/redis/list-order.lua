-- Adds an order to its customer's list; on a cluster the second step of storing a view.
--
-- KEYS[1]  customer:<id>:last_orders
-- ARGV[1]  order id
-- ARGV[2]  maximum length of the list
-- ARGV[3]  expiry of the list, seconds
list_order(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
return 1
