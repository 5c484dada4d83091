-- Columns, types and indexes of dujiao-next 1.3 as far as an order has to do with them. {key} and
-- {time} are those that its mapper takes for a database.
CREATE TABLE orders (
  id {key},
  order_no text NOT NULL,
  parent_id bigint,
  user_id bigint NOT NULL DEFAULT 0,
  guest_email text,
  guest_password varchar(200),
  status text NOT NULL,
  currency text NOT NULL,
  total_amount decimal(20,2) NOT NULL DEFAULT 0,
  refunded_amount decimal(20,2) NOT NULL DEFAULT 0,
  expires_at {time},
  paid_at {time},
  canceled_at {time},
  created_at {time},
  updated_at {time},
  deleted_at {time}
);
CREATE UNIQUE INDEX idx_orders_order_no ON orders (order_no);
CREATE INDEX idx_orders_parent_id ON orders (parent_id);
CREATE INDEX idx_orders_status ON orders (status);
CREATE INDEX idx_orders_updated_at ON orders (updated_at);
CREATE INDEX idx_orders_deleted_at ON orders (deleted_at);
CREATE TABLE order_items (
  id {key},
  order_id bigint NOT NULL,
  product_id bigint NOT NULL,
  sku_id bigint NOT NULL DEFAULT 0,
  quantity bigint NOT NULL,
  total_price decimal(20,2) NOT NULL DEFAULT 0,
  fulfillment_type text NOT NULL,
  created_at {time},
  updated_at {time},
  deleted_at {time}
);
CREATE INDEX idx_order_items_order_id ON order_items (order_id);
CREATE TABLE fulfillments (
  id {key},
  order_id bigint NOT NULL,
  type text NOT NULL,
  status text NOT NULL,
  payload text,
  delivered_by bigint,
  delivered_at {time},
  created_at {time},
  updated_at {time},
  deleted_at {time}
);
CREATE UNIQUE INDEX idx_fulfillments_order_id ON fulfillments (order_id);
CREATE TABLE payments (
  id {key},
  order_id bigint NOT NULL,
  channel_id bigint NOT NULL,
  provider_type text NOT NULL,
  channel_type text NOT NULL,
  interaction_mode text NOT NULL,
  amount decimal(20,2) NOT NULL,
  currency text NOT NULL,
  status text NOT NULL,
  provider_ref text,
  created_at {time},
  updated_at {time},
  paid_at {time},
  expired_at {time},
  callback_at {time},
  deleted_at {time}
);
CREATE INDEX idx_payments_order_id ON payments (order_id);
CREATE INDEX idx_payments_updated_at ON payments (updated_at);
CREATE TABLE procurement_orders (
  id {key},
  connection_id bigint NOT NULL,
  local_order_id bigint NOT NULL,
  local_order_no varchar(64),
  status varchar(20) NOT NULL DEFAULT 'pending',
  error_message text,
  retry_count bigint NOT NULL DEFAULT 0,
  upstream_payload text,
  created_at {time},
  updated_at {time},
  deleted_at {time}
);
CREATE INDEX idx_procurement_orders_local_order_id ON procurement_orders (local_order_id);
CREATE INDEX idx_procurement_orders_updated_at ON procurement_orders (updated_at);
