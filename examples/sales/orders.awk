# Writes `rows` order lines of `date` as CSV: made up, but the same for the same date, with the dirt
# that real ones have: some come twice, some lack a quantity, some regions are typed carelessly.
#   awk -v date=2026-01-31 -v rows=500000 -f orders.awk
function draw(n) { # 0..n-1; the "minimal standard" generator, exact in a double
  seed = (seed * 16807) % 2147483647
  return int(seed / 2147483647 * n)
}

BEGIN {
  seed = 0
  for (i = 1; i <= length(date); i++) seed = (seed * 31 + index("0123456789", substr(date, i, 1))) % 2147483646
  seed = seed + 1
  region_count = split("Beijing Shanghai Chengdu Guangzhou Hangzhou", region, " ")
  channel_count = split("web app shop", channel, " ")
  product_count = split("keyboard mouse monitor headset cable dock camera lamp stand charger", product, " ")
  print "order_id,ordered_at,region,customer,product,quantity,unit_price,channel"
  for (row = 1; row <= rows; row++) {
    second = draw(86400)
    item = draw(product_count)
    where = region[draw(region_count) + 1]
    if (draw(50) == 0) where = " " tolower(where) " "
    quantity = draw(200) ? draw(5) + 1 : ""
    price = (item + 1) * 19.9 + draw(1000) / 100
    line = sprintf("%d,%sT%02d:%02d:%02dZ,%s,C%06d,%s-%02d,%s,%.2f,%s", 1000000 + row, date,
      int(second / 3600), int(second / 60) % 60, second % 60, where, draw(200000),
      product[item + 1], draw(40), quantity, price, channel[draw(channel_count) + 1])
    print line
    if (draw(300) == 0) print line
  }
}
