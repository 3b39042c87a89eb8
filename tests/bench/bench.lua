-- Runs the cases of cases.lua, peers side by side in the same minutes, and prints one table.
--
-- The rows of a case take turns (a b c, a b c, ...), so that what else the machine does falls on
-- all of them; the medians are told. State directories lie beside the binary: on a disk, not in
-- memory.
local here = arg[1]
package.path = here .. "/?.lua;" .. package.path
local cases = require "cases"
local measure = require "measure"

local bench = { root = here .. "/../..", runs = 3, quick = false }

local function fail(text)
  io.stderr:write("bench: ", text, "\n")
  os.exit(2)
end

local function case_names()
  local names = {}
  for i, case in ipairs(cases) do names[i] = case.name end
  return names
end

local function read_arguments()
  local chosen, at = {}, 2
  local path = os.getenv "FLOWLUA_BIN" or bench.root .. "/build/release/flowlua"
  while arg[at] do
    local word = arg[at]
    if word == "--runs" then
      at = at + 1
      bench.runs = tonumber(arg[at]) or fail "--runs: expected a number"
    elseif word == "--flowlua" then
      at = at + 1
      path = arg[at] or fail "--flowlua: expected a path"
    elseif word == "--quick" then
      bench.quick = true
    elseif word == "--list" then
      print(table.concat(case_names(), "\n"))
      os.exit(0)
    elseif word:find "^%-" then
      fail(("unknown option %s; there are --runs N, --quick, --flowlua PATH, --list"):format(word))
    else
      chosen[#chosen + 1] = word
    end
    at = at + 1
  end
  local pipe = io.popen(("realpath -e '%s' 2>&1"):format(path))
  bench.flowlua = pipe:read "*l"
  pipe:close()
  if not bench.flowlua:find "^/" then fail(bench.flowlua .. " (cmake --workflow release)") end
  return chosen
end

local function choose(names)
  if #names == 0 then return cases end
  local list = {}
  for _, name in ipairs(names) do
    local found
    for _, case in ipairs(cases) do found = found or case.name == name and case end
    list[#list + 1] = found
      or fail(("no case '%s'; there are %s"):format(name, table.concat(case_names(), ", ")))
  end
  return list
end

--- Runs what prepares a case; it must end with `code` (0).
function bench.must_run(argv, dir, code)
  if measure.run(argv, dir).code ~= (code or 0) then
    fail(("%s failed; see %s/stderr"):format(table.concat(argv, " "), dir))
  end
end

-- ------------------------------------------------------------------------------------ telling

local bar_order = { "ratio", "more_ms", "seconds", "rate", "peak_mb", "bytes" }
local bar_text = {
  ratio = "<= %.2f x", more_ms = "<= %d ms more", seconds = "<= %.1f s", rate = ">= %d a second",
  peak_mb = "<= %d MB", bytes = "<= %d bytes each",
}
local missed = 0

local function figures_of(result, reference, count)
  return {
    ratio = reference and result.wall / reference.wall,
    more_ms = reference and (result.wall - reference.wall) * 1000,
    seconds = result.wall, rate = count / result.wall, peak_mb = result.peak_mb,
    bytes = result.bytes and result.bytes / count,
  }
end

local function verdict(bars, figures)
  local texts = {}
  for _, name in ipairs(bar_order) do
    local bar, figure = bars and bars[name], figures[name]
    if bar then
      local good = name == "rate" and figure >= bar or name ~= "rate" and figure <= bar
      if not good then missed = missed + 1 end
      local told = name == "bytes" and ("%d bytes "):format(figure) or ""
      texts[#texts + 1] = told .. bar_text[name]:format(bar) .. (good and " ok" or " MISS")
    end
  end
  return table.concat(texts, ", ")
end

local function tell(case, rows, count)
  local reference
  for _, row in ipairs(rows) do
    if row.who == case.against then reference = row.result end
  end
  local text = tostring(count):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  print(("\n%s: %s%s"):format(case.name, count > 1 and text .. " " or "", case.title))
  print(("  %-24s %9s %7s %9s %7s %8s  %s"):format("", "wall s", "ratio", "us each", "cpu s",
    "peak MB", "bar"))
  for _, row in ipairs(rows) do
    local figures = figures_of(row.result, reference, count)
    print(("  %-24s %9.3f %7s %9.1f %7.2f %8.1f  %s"):format(row.who, row.result.wall,
      figures.ratio and ("%.2f"):format(figures.ratio) or "", row.result.wall / count * 1e6,
      row.result.cpu, row.result.peak_mb, bench.quick and "" or verdict(row.bars, figures)))
  end
  io.stdout:flush()
end

-- ------------------------------------------------------------------------------------ running

local function measure_row(row, dir)
  if row.before then row.before(dir) end
  local result
  if row.stop then
    result = measure.run_until(row.argv, dir, row.stop[1], row.stop[2])
  else
    result = measure.run(row.argv, dir, row.input)
  end
  if result.code ~= 0 then
    os.execute(("tail -n 5 '%s/stderr' >&2"):format(dir))
    fail(("%s ended with %d: %s"):format(row.who, result.code, table.concat(row.argv, " ")))
  end
  if row.after then row.after(result, dir) end
  return result
end

-- A peer that is not installed is left out.
local function present(rows)
  local list = {}
  for _, row in ipairs(rows) do
    if os.execute(("command -v '%s' >/dev/null"):format(row.argv[1])) == 0 then
      list[#list + 1] = row
    else
      print(("bench: %s is not installed: left out"):format(row.argv[1]))
    end
  end
  return list
end

local function tell_figures(case, figures)
  print(("\n%s: %s"):format(case.name, case.title))
  for _, figure in ipairs(figures) do
    local bar = ""
    if not bench.quick and (figure.max or figure.min) then
      local good = figure.value <= (figure.max or math.huge) and figure.value >= (figure.min or 0)
      if not good then missed = missed + 1 end
      bar = ("%s %.14g%s"):format(figure.max and "<=" or ">=", figure.max or figure.min,
        good and " ok" or " MISS")
    end
    print(("  %-44s %12.14g  %s"):format(figure.name, figure.value, bar))
  end
  io.stdout:flush()
end

local function run_case(case, folder)
  local dir = folder .. "/" .. case.name
  os.execute("mkdir -p '" .. dir .. "'")
  local count = bench.quick and math.max(1, math.floor(case.count / 50)) or case.count
  if case.measure then
    tell_figures(case, case.measure(bench, dir, count))
    os.execute("rm -rf '" .. dir .. "'")
    return
  end
  local rows = present(case.rows(bench, dir, count))
  local runs = math.min(math.max(bench.runs, case.runs_min or 1), case.runs_max or 1000)
  for _ = 1, runs do
    for _, row in ipairs(rows) do
      row.results = row.results or {}
      table.insert(row.results, measure_row(row, dir))
    end
  end
  for _, row in ipairs(rows) do
    row.result = {}
    for _, name in ipairs { "wall", "cpu", "peak_mb", "bytes" } do
      local list = {}
      for i, result in ipairs(row.results) do list[i] = result[name] end
      row.result[name] = #list > 0 and measure.median(list) or nil
    end
  end
  tell(case, rows, count)
  os.execute("rm -rf '" .. dir .. "'")
end

local chosen = choose(read_arguments())
local pipe = io.popen(("mktemp -d '%s/bench.XXXXXX'"):format(bench.flowlua:match "^(.*)/"))
local folder = pipe:read "*l" or fail "cannot make a folder"
pipe:close()
local ok, err = xpcall(function()
  for _, case in ipairs(chosen) do run_case(case, folder) end
end, debug.traceback)
os.execute("rm -rf '" .. folder .. "'")
if not ok then error(err, 0) end
if not bench.quick then print(("\n%d bars missed"):format(missed)) end
