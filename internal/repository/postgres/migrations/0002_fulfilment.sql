-- What an order is made of and by whom: catalogue, stock, payments, kitchens, riders, messages, timers, history.

CREATE TABLE restaurants (
  restaurant_id varchar(64) COLLATE "C" PRIMARY KEY,
  name          varchar(256) NOT NULL,
  is_active     boolean NOT NULL DEFAULT true,
  -- Who says yes to an order: a person at the restaurant, or nobody has to.
  acceptance    varchar(16) NOT NULL DEFAULT 'automatic' CHECK (acceptance IN ('automatic', 'manual')),
  address       varchar(512) NOT NULL DEFAULT '',
  latitude      double precision CHECK (latitude BETWEEN -90 AND 90),
  longitude     double precision CHECK (longitude BETWEEN -180 AND 180),
  -- From acceptance to the counter, as a rule.
  preparation_s integer NOT NULL DEFAULT 900 CHECK (preparation_s >= 0),
  created_at    timestamptz(3) NOT NULL DEFAULT now(),
  CHECK ((latitude IS NULL) = (longitude IS NULL))
);

CREATE TABLE menu_items (
  item_id       varchar(64) COLLATE "C" PRIMARY KEY,
  restaurant_id varchar(64) COLLATE "C" NOT NULL REFERENCES restaurants,
  name          varchar(256) NOT NULL,
  price         numeric(14, 2) NOT NULL CHECK (price >= 0),
  is_active     boolean NOT NULL DEFAULT true,
  created_at    timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX menu_items_of_restaurant ON menu_items (restaurant_id);

-- An item may have stock without being on a menu: then the order's own price stands.
CREATE TABLE inventory_items (
  item_id       varchar(64) COLLATE "C" PRIMARY KEY,
  stock_count   integer NOT NULL CHECK (stock_count >= 0),
  threshold_qty integer NOT NULL DEFAULT 0 CHECK (threshold_qty >= 0),
  updated_at    timestamptz(3) NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- What an order has taken from stock: [{"itemId", "quantity"}]. Only what stands here as reserved can be given back, once;
-- an order that asked for more than there was stands here as rejected, so that it is not asked for again.
CREATE TABLE reservations (
  order_id    varchar(64) COLLATE "C" PRIMARY KEY,
  lines       jsonb NOT NULL,
  state       varchar(16) NOT NULL CHECK (state IN ('reserved', 'released', 'rejected')),
  reserved_at timestamptz(3) NOT NULL DEFAULT now(),
  released_at timestamptz(3),
  CHECK ((state = 'released') = (released_at IS NOT NULL))
);

-- The ledger: each movement of an order's money happens once at most, so it is a column with its time.
CREATE TABLE payments (
  order_id         varchar(64) COLLATE "C" PRIMARY KEY,
  currency         char(3) NOT NULL,
  state            varchar(16) NOT NULL CHECK (state IN ('PENDING', 'AUTHORIZED', 'FAILED', 'CAPTURED', 'VOIDED', 'REFUNDED')),
  -- Raised by one with every change.
  version          integer NOT NULL DEFAULT 1,
  requested        numeric(14, 2) NOT NULL CHECK (requested > 0),
  authorized       numeric(14, 2) NOT NULL DEFAULT 0 CHECK (authorized BETWEEN 0 AND requested),
  captured         numeric(14, 2) NOT NULL DEFAULT 0 CHECK (captured BETWEEN 0 AND authorized),
  refunded         numeric(14, 2) NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND captured),
  authorization_id varchar(128),
  reason           text,
  attempts         integer NOT NULL DEFAULT 0,
  requested_at     timestamptz(3) NOT NULL,
  authorized_at    timestamptz(3),
  captured_at      timestamptz(3),
  voided_at        timestamptz(3),
  refunded_at      timestamptz(3),
  CHECK (state NOT IN ('PENDING', 'FAILED') OR authorized = 0),
  CHECK (state IN ('PENDING', 'FAILED') OR (authorized > 0 AND authorized_at IS NOT NULL AND authorization_id IS NOT NULL)),
  CHECK ((state IN ('CAPTURED', 'REFUNDED')) = (captured > 0)),
  CHECK ((captured > 0) = (captured_at IS NOT NULL)),
  CHECK ((state = 'VOIDED') = (voided_at IS NOT NULL)),
  CHECK ((state = 'REFUNDED') = (refunded_at IS NOT NULL)),
  CHECK (state <> 'REFUNDED' OR refunded = captured),
  CHECK (state <> 'FAILED' OR reason IS NOT NULL)
) WITH (fillfactor = 50);

CREATE TABLE tickets (
  order_id           varchar(64) COLLATE "C" PRIMARY KEY,
  restaurant_id      varchar(64) COLLATE "C" NOT NULL,
  state              varchar(16) NOT NULL CHECK (state IN ('OPEN', 'ACCEPTED', 'REJECTED', 'CLOSED')),
  opened_at          timestamptz(3) NOT NULL,
  answered_at        timestamptz(3),
  estimated_ready_at timestamptz(3),
  reason             text,
  closed_at          timestamptz(3)
);
CREATE INDEX tickets_open ON tickets (restaurant_id, opened_at, order_id) WHERE state IN ('OPEN', 'ACCEPTED');

CREATE TABLE riders (
  rider_id   varchar(64) COLLATE "C" PRIMARY KEY,
  name       varchar(256) NOT NULL,
  is_on_duty boolean NOT NULL DEFAULT true,
  latitude   double precision CHECK (latitude BETWEEN -90 AND 90),
  longitude  double precision CHECK (longitude BETWEEN -180 AND 180),
  -- Orders on the way with this rider, and how many may be when another is given out; whose capacity is lowered, or who
  -- gets one from somebody else, may carry more for a while.
  carrying   integer NOT NULL DEFAULT 0 CHECK (carrying >= 0),
  capacity   integer NOT NULL DEFAULT 2 CHECK (capacity > 0),
  moved_at   timestamptz(3) NOT NULL DEFAULT now(),
  CHECK ((latitude IS NULL) = (longitude IS NULL))
) WITH (fillfactor = 50);
-- The nearest to a pickup, by the distance in degrees; which of those it is to be, their distance in metres decides.
CREATE INDEX riders_free ON riders USING gist (point(longitude, latitude))
  WHERE is_on_duty AND carrying < capacity AND latitude IS NOT NULL;

CREATE TABLE deliveries (
  order_id       varchar(64) COLLATE "C" PRIMARY KEY,
  state          varchar(16) NOT NULL CHECK (state IN ('REQUESTED', 'ASSIGNED', 'PICKED_UP', 'DELIVERED', 'RELEASED')),
  rider_id       varchar(64) COLLATE "C",
  -- One of that rider's places is taken: riders.carrying counts these rows.
  holds_place    boolean NOT NULL DEFAULT false,
  restaurant_id  varchar(64),
  pickup_address varchar(512),
  -- [latitude, longitude], where known.
  pickup         jsonb,
  dropoff        jsonb,
  attempts       integer NOT NULL DEFAULT 0,
  requested_at   timestamptz(3) NOT NULL,
  ready_at       timestamptz(3),
  assigned_at    timestamptz(3),
  picked_up_at   timestamptz(3),
  delivered_at   timestamptz(3),
  eta            timestamptz(3),
  eta_p90        timestamptz(3),
  eta_at         timestamptz(3),
  CHECK (rider_id IS NOT NULL OR state IN ('REQUESTED', 'RELEASED')),
  CHECK (NOT holds_place OR state IN ('ASSIGNED', 'PICKED_UP')),
  CHECK (eta_p90 >= eta)
);
CREATE INDEX deliveries_of_rider ON deliveries (rider_id, order_id) WHERE state IN ('ASSIGNED', 'PICKED_UP');

-- One message of a kind for an order.
CREATE TABLE notifications (
  order_id   varchar(64) COLLATE "C" NOT NULL,
  template   varchar(64) NOT NULL,
  state      varchar(16) NOT NULL CHECK (state IN ('PENDING', 'SENT', 'GIVEN_UP')),
  recipient  varchar(256) NOT NULL,
  variables  jsonb NOT NULL,
  attempts   integer NOT NULL DEFAULT 0,
  error      text,
  created_at timestamptz(3) NOT NULL,
  sent_at    timestamptz(3),
  PRIMARY KEY (order_id, template),
  CHECK ((state = 'SENT') = (sent_at IS NOT NULL))
);

-- What is to happen to an order later, apart from its being due: one of a kind. Redis is the index of it.
CREATE TABLE timers (
  order_id varchar(64) COLLATE "C" NOT NULL,
  kind     varchar(16) COLLATE "C" NOT NULL,
  due_at   timestamptz(3) NOT NULL,
  PRIMARY KEY (order_id, kind)
);
CREATE INDEX timers_by_due ON timers (due_at, order_id, kind);

-- What others put on topics, for those who read nothing else of the log.
CREATE INDEX events_on_topics ON events (transaction_id, position) WHERE topic IS NOT NULL;

-- Every event of every order, kept longer than the event log: a partition a month, made ahead by query-service. The last
-- one takes what belongs to none.
CREATE TABLE order_history (
  order_id   varchar(64) COLLATE "C" NOT NULL,
  at         timestamptz(3) NOT NULL,
  event_id   uuid NOT NULL,
  event_type varchar(64) NOT NULL,
  producer   varchar(64) NOT NULL,
  payload    json NOT NULL,
  PRIMARY KEY (order_id, at, event_id)
) PARTITION BY RANGE (at);
CREATE TABLE order_history_rest PARTITION OF order_history DEFAULT;
