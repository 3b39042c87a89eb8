-- The flows that are broken: which words start them, and what must be there before.
local place = require "place"

local MEND = "resume last --param limit=12 --set colour=blue --output source.wrong=6 --skip never "
  .. "--rerun repeated+"

local WITHIN = "resume last --output go/fetch.n=6 --rerun go/beside "
  .. "--param 'files=[\"a\",\"b\",\"c\",\"never\",\"e\"]' --succeed 'each[4]=\"by hand\"'"

local workloads = {
  { name = "chain" },
  { name = "fan", jobs = 4 },
  { name = "retry" },
  -- Starts from a run that failed; what is swept is the resume that mends it.
  { name = "mend", failed = true, words = MEND },
  -- The same with a run in a store of the first schema, which is brought up to date.
  { name = "upgrade", failed = true, fixture = "store_v1.sql", words = MEND,
    ledger = "L source 1\nP early 1\nP repeated 1\nL after_repeated 1\n" },
  -- A mend that reaches into a sub-flow and to items of a map, whose list it makes longer.
  { name = "within", failed = true, words = WITHIN },
  { name = "checkpoint" },
  { name = "call" },
  { name = "mixed" },
}

for _, w in ipairs(workloads) do
  workloads[w.name] = w
  w.jobs = w.jobs or 2
end

local function with_options(w, words, durability)
  return ("%s --json --jobs %d --durability %s"):format(words, w.jobs, durability)
end

local function run_words(w, durability)
  return with_options(w, ("run '%s/flows/%s.lua'"):format(place.here, w.name), durability)
end

--- A new folder for `w` below `folder`, with what its start needs.
function workloads.make(w, folder, name)
  return place.make(folder .. "/" .. name, w.failed and folder .. "/failed." .. w.name)
end

-- Loads the store of an older version.
local function load_fixture(w, dir)
  os.execute("mkdir '" .. dir .. "/state'")
  place.write(dir .. "/ledger", w.ledger)
  local lines = place.lines_of(("sed 's|@FLOWS@|%s/flows|' '%s/%s' | sqlite3 '%s/state/flowlua.db' "
    .. "2>&1 | grep -v '^wal$'"):format(place.here, place.here, w.fixture, dir))
  return lines[1]
end

--- What all points of `w` start from; returns an error.
function workloads.prepare(w, folder, durability)
  if not w.failed then return end
  local dir = place.make(folder .. "/failed." .. w.name)
  if w.fixture then return load_fixture(w, dir) end
  local code = place.flowlua(dir, run_words(w, durability))
  if code ~= 1 then return ("%s ends with %s; see %s/out"):format(w.name, code, dir) end
end

--- The words that start what is to be broken.
function workloads.get_start(w, durability)
  return w.words and with_options(w, w.words, durability) or run_words(w, durability)
end

--- The words that continue it, by what the store says after it was broken.
function workloads.get_resume(w, store, durability)
  if #store.runs == 0 or (w.failed and not store.patched) then
    return workloads.get_start(w, durability)
  end
  return with_options(w, "resume", durability)
end

return workloads
