-- What the kill sweep compares: the store, the ledger of what really ran, the processes left over.
local witness = {}

-- How often a node of sweep_flow.lua may fail by itself, and those that are processes: a supervisor
-- outlives its engine, so these never run again for an engine's death.
local own_failures = { retry_l = 1, retry_m = 1 }
local processes = { shell_a = 1, shell_b = 1, exec_c = 1, slow_d = 1, ["map_k[1]"] = 1,
  ["map_k[2]"] = 1, retry_l = 2, left_o = 1, inner_b = 1, end_t = 1 }

local WAIT_S = 5 -- for what is still ending when the engine has ended

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

local function ask(path, sql)
  -- With a timeout: two lanes that look at once would otherwise refuse each other.
  return lines_of(("sqlite3 -readonly -cmd '.timeout 10000' '%s' \"%s\" 2>&1")
    :format(path, (sql:gsub("%s+", " "))))
end

-- Ids of runs differ from run to run, times and places too; what nodes saw and left does not.
local CONTEXTS = [[
  select n.name, n.status, c.params, c.vars, c.vars_out, c.outputs, c.item
  from v_node n
  left join v_attempt a on a.run = n.run and a.node = n.node and a.status = 'succeeded'
  left join v_context c on c.run = a.run and c.node = a.node and c.number = a.number
  order by n.name
]]

--- What the store in `dir` says. `copy`: nobody may touch the files as a kill left them, so they
--- are read elsewhere (opening a database after a crash mends it).
function witness.read_store(dir, copy)
  local path = dir .. "/state/flowlua.db"
  if copy then
    os.execute(("mkdir -p '%s/copy' && cp '%s'* '%s/copy/' 2>/dev/null"):format(dir, path, dir))
    path = dir .. "/copy/flowlua.db"
  end
  local file = io.open(path, "rb")
  if not file then return { runs = {}, nodes = {}, succeeded = {}, twice = {}, attempts = {} } end
  file:close()
  local store = {
    runs = ask(path, "select flow, status from v_run order by flow"),
    nodes = ask(path, CONTEXTS),
    succeeded = {},
    twice = ask(path, [[select name from v_attempt where status = 'succeeded' and not synthetic
      group by run, node having count(*) > 1]]),
    attempts = ask(path, [[select name, count(*) from v_attempt where not synthetic
      group by run, node]]),
  }
  for _, name in ipairs(ask(path, "select name from v_node where status = 'succeeded'")) do
    store.succeeded[name] = true
  end
  return store
end

function witness.count_lines(path)
  local file, count = io.open(path, "rb"), 0
  if not file then return 0 end
  for _ in file:lines() do count = count + 1 end
  file:close()
  return count
end

local function first_difference(expected, got)
  for i = 1, math.max(#expected, #got) do
    if expected[i] ~= got[i] then
      return ("expected %s, got %s"):format(expected[i] or "nothing", got[i] or "nothing")
    end
  end
end

-- A ledger's path is a param, and no two points have the same.
local function without_paths(lines)
  local out = {}
  for i, line in ipairs(lines) do out[i] = line:gsub("/[%w_./-]*/ledger", "LEDGER") end
  return out
end

--- The runs and every node's last context are those of a run that nothing broke.
function witness.compare(expected, final, found)
  local text = first_difference(expected.runs, final.runs)
  if text then found(#final.runs > #expected.runs and "twice" or "lost", "runs: " .. text) end
  text = first_difference(without_paths(expected.nodes), without_paths(final.nodes))
  if text then found("lost", "context: " .. text) end
end

--- By the store: no node succeeded twice, none had more attempts than crashes and failures explain.
function witness.check_attempts(final, crashes, found)
  for _, name in ipairs(final.twice) do found("twice", name .. " has two succeeded attempts") end
  for _, line in ipairs(final.attempts) do
    local name, count = line:match "^(.*)|(%d+)$"
    local allowed = 1 + crashes + (own_failures[name] or 0)
    if not name or tonumber(count) > allowed then
      found("twice", ("%s attempts, allowed are %d"):format(line, allowed))
    end
  end
end

local function ledger_names(path)
  local names = {}
  local file = io.open(path, "rb")
  if not file then return names end
  for line in file:lines() do names[#names + 1] = line:match "^(%S+) %d+$" or "?" .. line end
  file:close()
  return names
end

--- By the ledger: what was recorded as succeeded when the engine was killed did not run after it.
function witness.check_kept(path, broken, found)
  local names = ledger_names(path)
  for i = broken.lines + 1, #names do
    if broken.succeeded[names[i]] then
      found("twice", names[i] .. " ran after its success was recorded")
    end
  end
end

--- By the ledger: what is a process ran as often as if no engine had been killed, the others no
--- more often than the kills explain.
function witness.check_ledger(path, crashes, found)
  local runs = {}
  for _, name in ipairs(ledger_names(path)) do
    if name:find "^%?" then found("lost", "ledger: " .. name) end
    runs[name] = (runs[name] or 0) + 1
  end
  for name, count in pairs(runs) do
    local allowed = processes[name] or 1 + crashes + (own_failures[name] or 0)
    if count > allowed then
      found("twice", ("%s ran %d times, allowed are %d"):format(name, count, allowed))
    end
  end
  for name in pairs(processes) do
    if not runs[name] then found("lost", name .. " never ran") end
  end
end

--- Nothing that this point started, supervisors included, is left.
function witness.check_left(dir, found)
  local command = ("grep -lsza '^SWEEP_MARK=%s$' /proc/[0-9]*/environ"):format(dir)
  local until_time, left = os.time() + WAIT_S, nil
  repeat
    if left then os.execute "sleep 0.02" end
    left = lines_of(command)
  until #left == 0 or os.time() > until_time
  for _, path in ipairs(left) do
    local name = lines_of(("tr '\\0' ' ' < %s 2>/dev/null"):format(
      (path:gsub("environ", "cmdline"))))[1]
    found("left", ("%s %s"):format(path:match "%d+", name or ""))
    os.execute("kill -9 " .. path:match "%d+" .. " 2>/dev/null")
  end
end

return witness
