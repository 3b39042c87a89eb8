-- A year of takings that breaks twice, is mended twice, and goes on each time where it stopped.
--   flowlua examples/mend.lua              total[7] fails: a sale is above the largest one allowed
--   flowlua breakpoint last                what failed and why, what is done, what helps
--   flowlua resume --plan --param largest=1000
--   flowlua resume --param largest=1000    only total[7] runs again; then load lacks a rate for GBP
--   flowlua resume --output 'fetch.rates={"EUR":100,"CHF":104,"GBP":117}' --reason "bank called"
--   flowlua show last                      load went on after September; what was done ran once
--
-- The rules of `on_breakpoint` propose other ways, each shown by `flowlua proposals last`:
--   flowlua examples/mend.lua
--   flowlua resume --accept 1              a larger largest sale; it breaks at load again
--   flowlua resume --accept 2              load leaves out what has no rate
local flow, fs = require "flow", require "fs"

local mend = flow.dag("mend", {
  params = {
    largest = { "number", default = 500, doc = "what is above this is taken for a slip" },
    unknown = { "string", default = "stop", enum = { "stop", "omit" }, doc = "without a rate" },
    dir = { "string", default = fs.absolute "mend_out", doc = "where the files go" },
  },
  on_breakpoint = flow.advise.rules {
    { name = "larger sales", error = "above the largest",
      params = { largest = flow.advise.times(2, { max = 4000 }) } },
    { name = "leave out", error = "no rate for", params = { unknown = "omit" },
      reason = "better without it than no report" },
  },
})

-- A file a month, and the rates in cents. (Both are made up here, and one rate is missing.)
mend.fetch = flow.lua { run = function(ctx)
  local files = flow.list {}
  assert(fs.mkdir(ctx.params.dir))
  for month = 1, 12 do
    local sales = { ("EUR %d"):format(month * 37 % 90 + 100), ("CHF %d"):format(month * 11) }
    if month == 7 then sales[3] = "EUR 912" end
    if month == 10 then sales[3] = "GBP 80" end
    files[month] = fs.join(ctx.params.dir, ("2026-%02d.txt"):format(month))
    assert(fs.write(files[month], table.concat(sales, "\n") .. "\n"))
  end
  return { files = files, rates = { EUR = 100, CHF = 104 } }
end }

-- An item a file: each is recorded and runs again by itself.
mend.total = flow.map { after = "fetch", over = "{{ inputs.fetch.files }}",
  run = function(ctx, file)
    local sums, largest = {}, ctx.params.largest
    for currency, text in assert(fs.read(file)):gmatch "(%u+) (%d+)" do
      local amount = tonumber(text)
      if amount > largest then
        error(("%s: %d is above the largest sale, %d"):format(fs.basename(file), amount, largest))
      end
      sums[currency] = (sums[currency] or 0) + amount
    end
    return { month = fs.basename(file):sub(1, 7), sums = sums }
  end }

-- Month by month, with a checkpoint after each: the next attempt goes on behind the last one saved.
mend.load = flow.lua { after = { "total", "fetch" }, run = function(ctx)
  local state = ctx:restored() or { at = 0, cents = 0 }
  for at = state.at + 1, #ctx.inputs.total do
    local total = ctx.inputs.total[at]
    for currency, sum in pairs(total.sums) do
      local rate = ctx.inputs.fetch.rates[currency]
      if not rate and ctx.params.unknown == "stop" then
        ctx:fail(("%s: no rate for %s"):format(total.month, currency))
      end
      state.cents = state.cents + sum * (rate or 0)
    end
    state.at = at
    ctx:log(("%s loaded"):format(total.month))
    ctx:checkpoint(state)
  end
  return { months = state.at, cents = state.cents }
end }

mend.report = flow.shell { after = "load",
  "echo {{inputs.load.months}} months, {{('%.2f'):format(inputs.load.cents / 100)}} euros" }

return mend
