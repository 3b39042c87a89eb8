-- What the crash tests compare: the store, the ledger of what really ran, the events that were
-- told, the processes left over.
local place = require "place"

local witness = {}

-- Ids of runs differ from run to run, times and places too; what nodes saw and left does not.
local QUESTIONS = [[
select 'integrity', integrity_check from pragma_integrity_check;
select 'run', flow, status, params, vars, error, leased from v_run;
select 'id', id, status from v_run;
select 'node', r.flow, n.name, n.status, c.params, c.vars, c.vars_out, c.vars_by, c.outputs, c.item
  from v_node n join v_run r on r.id = n.run
  left join v_context c on c.run = n.run and c.node = n.node and c.number = (
    select max(number) from v_attempt a
    where a.run = n.run and a.node = n.node and a.status = 'succeeded');
select 'attempt', a.run, r.flow, a.name, a.number, a.status from v_attempt a
  join v_run r on r.id = a.run where not a.synthetic;
select 'unstarted', r.flow, a.name from v_attempt a join v_run r on r.id = a.run
  where a.status = 'failed' and a.error like 'cannot make shared memory:%';
select 'status', name, status from v_node;
select 'checkpoint', name, checkpoint from v_node where checkpoint is not null;
select 'step', n.name, s.name from step s
  join v_node_name n on n.run_row = s.run and n.node = s.node;
select 'patched', count(*) from v_epoch where patch is not null;
]]

local function ask(dir, path)
  local questions = dir .. "/questions"
  place.write(questions, QUESTIONS)
  -- With a timeout: two lanes that look at once would otherwise refuse each other.
  return place.lines_of(("sqlite3 -readonly -cmd '.timeout 10000' '%s' < '%s' 2>&1")
    :format(path, questions))
end

local readers = {
  integrity = function(s, text) s.integrity = text end,
  run = function(s, text) s.runs[#s.runs + 1] = text end,
  id = function(s, text)
    local id, status = text:match "^(.-)|(.*)$"
    s.ids[id] = status
  end,
  node = function(s, text) s.nodes[#s.nodes + 1] = text end,
  attempt = function(s, text)
    local id, flow, name, number, status = text:match "^(.-)|(.-)|(.-)|(%d+)|(%w+)$"
    local key = flow .. "." .. name
    s.attempts[key] = (s.attempts[key] or 0) + 1
    s.tries[("%s %s %s"):format(id, name, number)] = status
    if status == "succeeded" then s.succeeded[key] = (s.succeeded[key] or 0) + 1 end
    if status == "claimed" or status == "running" then s.live[#s.live + 1] = key end
  end,
  unstarted = function(s, text)
    local key = text:gsub("|", ".")
    s.unstarted[key] = (s.unstarted[key] or 0) + 1
  end,
  status = function(s, text)
    local name, status = text:match "^(.-)|(.*)$"
    s.finished[name] = status == "succeeded" or nil
  end,
  checkpoint = function(s, text)
    local name, at = text:match '^(.-)|.*"at":(%d+)'
    if name then s.checkpoints[name] = tonumber(at) end
  end,
  step = function(s, text) s.steps[text:gsub("|", " ")] = true end,
  patched = function(s, text) s.patched = text ~= "0" end,
}

--- What the store in `dir` says. `copy`: nobody may touch the files as a kill left them, so they
--- are read elsewhere (opening a database after a crash mends it).
function witness.read_store(dir, copy)
  local path = dir .. "/state/flowlua.db"
  local s = { runs = {}, ids = {}, nodes = {}, attempts = {}, tries = {}, succeeded = {}, live = {},
    unstarted = {}, finished = {}, checkpoints = {}, steps = {}, integrity = "ok", other = {} }
  if copy then
    os.execute(("rm -rf '%s/copy'; mkdir -p '%s/copy' && cp '%s'* '%s/copy/' 2>/dev/null")
      :format(dir, dir, path, dir))
    path = dir .. "/copy/flowlua.db"
  end
  local file = io.open(path, "rb")
  if not file then return s end
  file:close()
  for _, line in ipairs(ask(dir, path)) do
    local kind, text = line:match "^(%w+)|(.*)$"
    if readers[kind] then readers[kind](s, text) else s.other[#s.other + 1] = line end
  end
  table.sort(s.runs)
  table.sort(s.nodes)
  return s
end

-- ------------------------------------------------------------------------------------ ledger

--- The lines of the ledger: { kind ("P" a process, "L" Lua), name } each.
function witness.read_ledger(dir)
  local entries = {}
  for line in place.read(dir .. "/ledger"):gmatch "[^\n]*\n" do
    local kind, name = line:match "^([PL]) (%S+) %d+\n$"
    entries[#entries + 1] = { kind or "?", name or line }
  end
  return entries
end

local function count_ledger(entries)
  local counts = {}
  for _, entry in ipairs(entries) do counts[entry[2]] = (counts[entry[2]] or 0) + 1 end
  return counts
end

--- What was acknowledged to nodes: the last checkpoint of each, the steps.
function witness.read_acks(dir)
  local acks = { checkpoints = {}, steps = {} }
  for line in place.read(dir .. "/acks"):gmatch "([^\n]*)\n" do
    local name, at = line:match "^checkpoint (%S+) (%d+)$"
    if name then acks.checkpoints[name] = tonumber(at) end
    local step = line:match "^step (.*)$"
    if step then acks.steps[step] = true end
  end
  return acks
end

--- All that an uninterrupted run leaves.
function witness.read_whole(dir)
  local whole = witness.read_store(dir, false)
  whole.ledger = count_ledger(witness.read_ledger(dir))
  return whole
end

-- ------------------------------------------------------------------------------------ checks
-- `found(kind, text)` is told what is wrong: "lost", "twice", "unequal", "left".

--- What was acknowledged is in the store: to nodes before a kill (`acks`), and as events.
function witness.check_told(dir, store, acks, found)
  for name, at in pairs(acks.checkpoints) do
    if not store.finished[name] and (store.checkpoints[name] or 0) < at then
      found("lost", ("checkpoint %d of %s, the store has %s"):format(at, name,
        store.checkpoints[name] or "none"))
    end
  end
  for step in pairs(acks.steps) do
    if not store.finished[step:match "^%S+"] and not store.steps[step] then
      found("lost", "step " .. step)
    end
  end
  for line in place.read(dir .. "/events"):gmatch "([^\n]*)\n" do
    local event, run = line:match '"event":"([%w_]+)"', line:match '"run":"([^"]+)"'
    local node, attempt = line:match '"node":"([^"]+)"', line:match '"attempt":(%d+)'
    local status = line:match '"status":"(%w+)"'
    if not event or not run then
      found("lost", "no event: " .. line)
    elseif not store.ids[run] then
      found("lost", "run of event " .. line)
    elseif attempt and event ~= "node_started" then
      local kept = store.tries[("%s %s %s"):format(run, node, attempt)]
      local ended = kept and kept ~= "claimed" and kept ~= "running"
      if not ended or (event == "node_finished" and kept ~= status) then
        found("lost", ("%s in the store, told: %s"):format(kept or "none", line))
      end
    end
  end
end

--- What was recorded as succeeded when the engine was killed did not run after it, and no step ran
--- whose result was acknowledged.
function witness.check_kept(dir, broken, lines, acks, found)
  local entries = witness.read_ledger(dir)
  for i = lines + 1, #entries do
    local name = entries[i][2]
    local node, step = name:match "^(.-):(.*)$"
    if broken.finished[name] or (node and acks.steps[node .. " " .. step]) then
      found("twice", name .. " ran after its success was recorded")
    end
  end
end

local function first_difference(expected, got)
  for i = 1, math.max(#expected, #got) do
    if expected[i] ~= got[i] then
      return ("expected %s, got %s"):format(expected[i] or "nothing", got[i] or "nothing")
    end
  end
end

--- Every run and every node's last context are those of `whole`; the store is sound and at rest.
function witness.check_equal(whole, final, found)
  local text = first_difference(whole.runs, final.runs)
  if text then found(#final.runs > #whole.runs and "twice" or "unequal", "runs: " .. text) end
  text = first_difference(whole.nodes, final.nodes)
  if text then found("unequal", "context: " .. text) end
  if final.integrity ~= "ok" then found("lost", "integrity_check: " .. final.integrity) end
  if final.other[1] then found("lost", final.other[1]) end
  for _, name in ipairs(final.live) do found("left", "an attempt of " .. name .. " is running") end
end

--- By the store: no node succeeded oftener than in `whole`, nor had more attempts than that, the
--- crashes and the workers that could not be started explain.
function witness.check_attempts(whole, final, crashes, found)
  for name, count in pairs(final.succeeded) do
    if count > (whole.succeeded[name] or 0) then
      found("twice", ("%s has %d succeeded attempts"):format(name, count))
    end
  end
  for name, count in pairs(final.attempts) do
    local allowed = (whole.attempts[name] or 0) + crashes + (final.unstarted[name] or 0)
    if count > allowed then
      found("twice", ("%s has %d attempts, allowed are %d"):format(name, count, allowed))
    end
  end
end

--- By the ledger: what is a process ran as often as if no engine had been killed, unless its
--- supervisor was; the others no more often than the kills explain.
function witness.check_ledger(dir, whole, crashes, supervisor_too, found)
  local entries = witness.read_ledger(dir)
  local counts, kinds = count_ledger(entries), {}
  for _, entry in ipairs(entries) do kinds[entry[2]] = entry[1] end
  for name, count in pairs(counts) do
    if kinds[name] == "?" then found("lost", "ledger: " .. name) end
    local more = (kinds[name] == "L" or supervisor_too) and crashes or 0
    local allowed = (whole.ledger[name] or 0) + more
    if count > allowed then
      found("twice", ("%s ran %d times, allowed are %d"):format(name, count, allowed))
    end
  end
  for name in pairs(whole.ledger) do
    if not counts[name] then found("lost", name .. " never ran") end
  end
end

--- Nothing that this point started, supervisors included, is left.
function witness.check_left(dir, found)
  for _, process in ipairs(place.find_left(dir)) do
    found("left", ("%s %s"):format(process[1], process[2]))
  end
end

return witness
