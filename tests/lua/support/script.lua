-- Loads scripts from texts and plays the engine for them.
local fs = require "fs"
local json = require "json"
local loader = require "flow.loader"
local host = require "flow.host"

local script = {}

local dirs = {}

--- A folder with these files (path -> text), gone after script.clean().
function script.folder(files)
  local dir = assert(fs.tempdir())
  dirs[#dirs + 1] = dir
  for path, text in pairs(files) do
    local parent = path:match "^(.*)/"
    if parent then assert(fs.mkdir(dir .. "/" .. parent)) end
    assert(fs.write(dir .. "/" .. path, text))
  end
  return dir
end

function script.clean()
  for _, dir in ipairs(dirs) do assert(fs.remove(dir, { recursive = true })) end
  dirs = {}
end

--- Loads `files["pipeline.lua"]`, or a text that is that file. Returns the script, or nil and the
--- message; `use` gets the script while it is loaded.
function script.load(files, options, use)
  if type(files) == "string" then files = { ["pipeline.lua"] = files } end
  options = options or {}
  options.dir = options.dir or script.folder(files)
  options.path = options.path or "pipeline.lua"
  options.name = options.name or "pipeline.lua"
  local ok, result = pcall(loader.load, options)
  local used, err = true, nil
  if ok and use then used, err = pcall(use, result, options.dir) end
  loader.unload()
  if not used then error(err, 0) end
  if ok then return result end
  return nil, result
end

--- The text of a flow named "f" around some lines.
function script.flow(body, options)
  return ('local flow = require "flow"\nlocal f = flow.dag("f"%s)\n%s\nreturn f\n')
    :format(options and ", " .. options or "", body)
end

--- A backend as C gives it, whose facts are a table. What was asked of it is kept in it.
function script.backend(facts)
  facts = facts or {}
  local b = {
    logs = {}, progress_seen = {}, checkpoints = {}, steps = facts.steps or {}, slept = {},
    specs = {}, recorded = {}, reads = {},
  }
  function b.get(_, what)
    b.reads[what] = (b.reads[what] or 0) + 1
    local v = facts[what]
    if v == nil and (what == "params" or what == "vars" or what == "inputs") then v = {} end
    if what == "run" then
      v = v or { id = "r1", flow = "f", version = "v", time = 1700000000, date = "2023-11-14",
        attempt = 1,
        trigger = "manual" }
    end
    if type(v) == "table" then return (json.decode(json.encode(v))) end
    return v
  end
  function b.log(_, text) b.logs[#b.logs + 1] = text end
  function b.progress(_, ...) b.progress_seen[#b.progress_seen + 1] = { ... } end
  function b.cancelled() return facts.cancelled or false end
  function b.checkpoint(_, text) b.checkpoints[#b.checkpoints + 1] = text end
  function b.restored() return facts.restored end
  function b.step_get(_, name)
    if b.steps[name] == nil then return false end
    return true, b.steps[name]
  end
  function b.step_put(_, name, text) b.steps[name] = text end
  function b.sleep(_, seconds) b.slept[#b.slept + 1] = seconds end
  function b.exec(_, spec)
    b.specs[#b.specs + 1] = spec
    return facts.exec or { status = "succeeded", code = 0, stdout = "out\n", stderr_tail = "" }
  end
  function b.record(_, kind, text) b.recorded[#b.recorded + 1] = { kind, text } end
  function b.replay()
    local entry = facts.replay and table.remove(facts.replay, 1)
    if entry == nil then return false end
    return true, entry
  end
  return b
end

--- Index of a node in the first flow.
function script.index(loaded, name) return assert(loaded.flows[1].graph:find(name), name) end

--- Runs a node of the first flow; returns what host.run does, in a table, and the backend.
function script.run(loaded, name, facts, inner)
  local b = script.backend(facts)
  local status, outputs, vars, err, retry =
    host.run(loaded.flows[1], script.index(loaded, name), inner or false, nil, b)
  return { status = status, outputs = outputs, vars = vars, error = err, retry = retry }, b
end

--- The command of a process node of the first flow.
function script.command(loaded, name, facts, inner)
  return host.command(loaded.flows[1], script.index(loaded, name), inner or false, nil,
    script.backend(facts))
end

return script
