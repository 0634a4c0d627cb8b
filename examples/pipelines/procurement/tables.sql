create table orders_to_approve (
  order_id text primary key,
  supplier text not null,
  sku text not null,
  quantity integer not null check (quantity > 0),
  total numeric not null,
  reason text not null
);
create table orders_placed (
  order_id text primary key,
  sku text not null,
  quantity integer not null check (quantity > 0),
  total numeric not null check (total <= 1000)
);
