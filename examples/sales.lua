-- A day of sales, 35 MB of order lines: extract -> model -> clean -> export, SQLite in between.
--   flowlua examples/sales.lua            writes sales_out/sales-2026-01-31.csv and .json
--   flowlua examples/sales.lua --param date=2026-02-01 --param 'regions=["Beijing"]'
-- Run it again: what is there already is not made again.
local flow, fs, json = require "flow", require "fs", require "json"

local sales = flow.dag("sales", {
  params = {
    date = "2026-01-31",
    regions = { "Beijing", "Shanghai", "Chengdu" },
    rows = { "integer", default = 500000, min = 1, doc = "order lines to make up" },
    dir = { "string", default = fs.absolute "sales_out", doc = "where the files go" },
  },
  defaults = { retries = 2, retry_delay = "1s", timeout = "10m" },
})

sales.extract = flow.shell { [[
  mkdir -p {{params.dir}} && cd {{params.dir}} && file=orders-{{params.date}}-{{params.rows}}.csv
  test -s $file || {
    awk -v date={{params.date}} -v rows={{params.rows}} -f "$OLDPWD/sales/orders.awk" \
      > $file.part && mv $file.part $file
  } && echo "file=$PWD/$file" > "$FLOWLUA_OUTPUT"
]] }

sales.model = flow.lua { after = "extract", run = function(ctx)
  local orders = require "sales.orders"
  ctx.vars.db = ctx.inputs.extract.file:gsub("%.csv$", ".db") -- all that follows inherits it
  return { lines = orders.load(ctx, ctx.inputs.extract.file, ctx.vars.db) }
end }

sales.clean = flow.sql { after = "model", db = "{{vars.db}}", [[
  create table if not exists clean as
  select order_id, ordered_at, lower(trim(region)) as region, product,
         cast(quantity as integer) as quantity, quantity * unit_price as amount
  from line where quantity <> '' group by order_id
]] }

sales.export = flow.lua { after = "clean", run = function(ctx)
  local db = assert(require "sqlite".open(ctx.vars.db, { readonly = true }))
  local report, total = { "region,hour,orders,items,amount" }, { orders = 0, amount = 0 }
  for row in db:rows([[
    select r.value as region, substr(ordered_at, 12, 2) as hour, count(*) as orders,
           sum(quantity) as items, sum(amount) as amount
    from clean join json_each(?) r on clean.region = lower(r.value) group by r.key, hour
  ]], { json.encode(ctx.params.regions) }) do
    report[#report + 1] = ("%s,%s,%d,%d,%.2f"):format(row.region, row.hour, row.orders, row.items,
      row.amount)
    total.orders, total.amount = total.orders + row.orders, total.amount + row.amount
  end
  db:close()
  local path = fs.join(fs.dirname(ctx.vars.db), "sales-" .. ctx.params.date)
  local summary = { date = ctx.params.date, regions = ctx.params.regions, orders = total.orders,
    amount = math.floor(total.amount * 100 + 0.5) / 100, report = path .. ".csv" }
  assert(fs.write(path .. ".csv", table.concat(report, "\n") .. "\n"))
  assert(fs.write(path .. ".json", json.encode(summary, { pretty = true }) .. "\n"))
  return summary
end }

return sales
