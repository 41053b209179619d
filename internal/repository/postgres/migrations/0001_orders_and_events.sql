-- Orders, the event log, and what makes effects happen once.

CREATE TABLE orders (
  order_id      varchar(64) COLLATE "C" PRIMARY KEY,
  customer_id   varchar(128),
  customer_name varchar(256),
  restaurant_id varchar(64),
  status        varchar(16) NOT NULL CHECK (status IN (
                  'CREATED', 'PROCESSING', 'CONFIRMED', 'ACCEPTED', 'PREPARING', 'RIDER_ASSIGNED',
                  'OUT_FOR_DELIVERY', 'DELIVERED', 'COMPLETED', 'FAILED', 'REJECTED', 'CANCELLED')),
  reason        text,
  total_amount  numeric(14, 2) NOT NULL CHECK (total_amount >= 0),
  currency      char(3) NOT NULL,
  -- Items and delivery address; null for an order that carries neither.
  content       jsonb,
  scheduled_at  timestamptz(3),
  due_at        timestamptz(3) NOT NULL,
  created_at    timestamptz(3) NOT NULL,
  updated_at    timestamptz(3) NOT NULL,
  version       integer NOT NULL,
  -- One entry per version: the timeline has no gap.
  timeline      jsonb NOT NULL,
  -- SHA-256 of what was asked for, to tell a repeated request from another one with the same id.
  fingerprint   text NOT NULL,
  CHECK (version = jsonb_array_length(timeline)),
  CHECK (reason IS NOT NULL OR status NOT IN ('FAILED', 'REJECTED'))
);
-- What the scheduler rebuilds its queue from.
CREATE INDEX orders_waiting ON orders (due_at, order_id) WHERE status = 'CREATED';
-- Keyset pages, newest first: of one status, or merged from those of all.
CREATE INDEX orders_by_status ON orders (status, created_at, order_id);

CREATE TABLE events (
  position       bigint GENERATED ALWAYS AS IDENTITY,
  -- Readers stay below the oldest transaction that is still open, so one that commits late is never skipped.
  transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
  -- Null for a record that came from outside and has no envelope. Not unique: an announcement may be repeated, as on
  -- any stream, and processed_events lets it take effect once.
  event_id       uuid,
  event_type     varchar(64) NOT NULL,
  order_id       varchar(64) NOT NULL,
  -- Set where the record goes to one topic only, instead of the topics of its type.
  topic          varchar(128),
  record         json NOT NULL,
  headers        json,
  stored_at      timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (transaction_id, position)
);

CREATE TABLE consumer_cursors (
  consumer       varchar(128) PRIMARY KEY,
  transaction_id xid8 NOT NULL DEFAULT '0',
  position       bigint NOT NULL DEFAULT 0,
  moved_at       timestamptz(3) NOT NULL DEFAULT now()
) WITH (fillfactor = 20);

-- Each event takes effect once per consumer.
CREATE TABLE processed_events (
  consumer     varchar(128) COLLATE "C" NOT NULL,
  -- An id from outside that is no UUID is named by one: version 5, of the id.
  event_id     uuid NOT NULL,
  processed_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, event_id)
);
CREATE INDEX processed_events_by_age ON processed_events USING brin (processed_at);

-- Dead letters (with an error), and what is parked behind them (without), in the order of their ids.
CREATE TABLE dead_letters (
  id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer            varchar(128) NOT NULL,
  event_id            varchar(128) NOT NULL,
  order_id            varchar(64) NOT NULL,
  topic               varchar(128) NOT NULL,
  record              json NOT NULL,
  error               text,
  retry_count         integer NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
  created_at          timestamptz(3) NOT NULL DEFAULT now(),
  replay_requested_at timestamptz(3),
  UNIQUE (consumer, event_id)
);
CREATE INDEX dead_letters_by_order ON dead_letters (consumer, order_id, id);

CREATE TABLE idempotency_keys (
  principal   varchar(128) COLLATE "C" NOT NULL,
  operation   varchar(160) COLLATE "C" NOT NULL,
  key         varchar(128) COLLATE "C" NOT NULL,
  fingerprint text NOT NULL,
  -- status, headers and body of the answer, to be repeated word for word.
  answer      json NOT NULL,
  created_at  timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (principal, operation, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys USING brin (created_at);

-- The operator's switch: one row.
CREATE TABLE scheduler_switch (
  only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  paused     boolean NOT NULL,
  changed_at timestamptz(3) NOT NULL DEFAULT now()
);
INSERT INTO scheduler_switch (paused) VALUES (false);
