# From stock and forecast to an order. What is ordered, rules say: a forecast is kept within twice what was ever sold in a week, so that no answer of a model
# empties the till. Input: {selling: {...}, forecast: {...}}. An input of a join may be missing, as far as types tell; then nothing is ordered.
.selling as $s | .forecast as $f |
(reduce ($s.sold // [])[] as $n (0; if $n > . then $n else . end) * 2) as $most |
(if ($f.high // 0) > $most then $most else ($f.high // 0) end) as $demand |
($demand - ($s.in_stock // 0) - ($s.on_order // 0)) as $missing |
($s.pack // 1) as $pack |
(if $missing > 0 then (($missing / $pack)? // 0 | ceil) * $pack else 0 end) as $quantity |
{
  order_id: "\($s.shop)-\($s.week)-\($s.sku)",
  supplier: $s.supplier,
  sku: $s.sku,
  quantity: $quantity,
  total: ($quantity * ($s.price // 0) * 100 | round | . / 100),
  reason: ($f.reason // "")
}
