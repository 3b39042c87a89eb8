-- Asks a flow's `on_breakpoint` what it would change, and says whether the flow lets the answer be
-- applied by itself.
local auto = require "flow.auto"
local fault = require "flow.fault"
local known = require "flow.known"
local options = require "flow.options"
local patch = require "flow.patch"
local path = require "flow.patch_path"
local schema = require "flow.schema"
local value = require "flow.value"

local adviser = {}

-- ------------------------------------------------------------------------------------ breakpoint

-- An option in the unit that people count in: durations as seconds, sizes as bytes.
local function plain(spec, v)
  for _, kind in ipairs(spec.types) do
    if kind == "duration" then return schema.duration(v) or v end
    if kind == "size" then return schema.size(v) or v end
  end
  return v
end

local function plain_limits(limits)
  local result = {}
  for name, v in next, limits do
    local spec = options.limits[name]
    result[name] = spec and plain(spec, v) or v
  end
  return result
end

-- The options that hold for a node, its own and inherited ones.
local function options_of(flow, node)
  local own, result = flow.nodes[node + 1], {}
  local ty = known.node_type(own)
  for _, name in ipairs(ty.option_names) do
    local spec = ty.checks[name]
    local v = own[name]
    if v == nil and spec.positional then v = own[1] end
    if v == nil then v = flow.defaults[name] end
    if v == nil then v = spec.default end
    if type(v) ~= "function" and not known.node_type(v) and not known.is_flow(v) then
      result[name] = name == "limits" and type(v) == "table" and plain_limits(v)
        or v ~= nil and plain(spec, v) or nil
    end
  end
  return result
end

local function value_of(v) return type(v) == "table" and v ~= value.null and v.value or nil end

local function null_to_nil(v)
  if v == value.null then return nil end
  return v
end

local function failed_of(flow, entry, info)
  local attempts = info.attempts or {}
  local last = attempts[#attempts] or {}
  local resources = null_to_nil(last.resources) or {}
  local name = entry.node:gsub("%[%d+%]$", "") -- an item: the map's options
  local index = flow.graph:find(name)
  return {
    node = name, name = entry.node, attempt = null_to_nil(entry.attempt), at = entry.at,
    reason = null_to_nil(entry.reason), text = null_to_nil(entry.text), type = info.type,
    error = null_to_nil(entry.error),
    exit_code = null_to_nil(entry.exit_code), signal = null_to_nil(entry.signal),
    state = null_to_nil(last.status) or "failed", attempts = #attempts,
    resources = { cpu_ms = null_to_nil(resources.cpu_ms) or 0,
      max_rss_bytes = null_to_nil(resources.max_rss_bytes) or 0 },
    options = index and options_of(flow, index) or {}, vars = value_of(info.vars),
    checkpoint = value_of(info.checkpoint),
  }
end

--- What an adviser is given: the run, `failures` (what failed, each with its options, in the order
--- of the failures), `failed` (the first of them), and `executed` (what is known of all nodes but
--- that one).
---@param flow table compiled
---@param info table what `flowlua breakpoint RUN --json` gives
function adviser.breakpoint(flow, info)
  local first = info.failed[1].node
  local executed, about, failures = {}, {}, {}
  for _, node in ipairs(info.nodes) do
    about[node.name] = node
    if node.name ~= first then executed[#executed + 1] = node end
  end
  for i, entry in ipairs(info.failed) do
    failures[i] = failed_of(flow, entry, about[entry.node] or {})
  end
  return { run = info.run, executed = executed, failed = failures[1], failures = failures,
    queue = info.queue }
end

-- ------------------------------------------------------------------------------------ asking

-- As far down as scripts say which flow a call runs; the resume looks at the rest.
local function check(flow, given, find_flow)
  local own = path.split(given)
  patch.check_flow(flow, own, flow)
  for _, part in ipairs(own.parts or {}) do
    local sub = path.sub_flow(flow, part.at, find_flow)
    if sub then check(sub, part.patch, find_flow) end
  end
end

-- As a patch of the run that calls the flow.
local function outer(given, within)
  if within == "" then return given end
  for _, key in ipairs { "params", "vars" } do
    if given[key] and next(given[key]) ~= nil then
      error(("patch.%s: those of a sub-flow come from its call: they cannot be proposed"):format(
        key), 0)
    end
  end
  return path.within(given, within)
end

-- Nothing that a resume without it would not do, too.
local function is_empty(given)
  for key, v in next, given do
    if type(v) ~= "table" and key ~= "reason" then return false end
    for _, inner in next, type(v) == "table" and v or {} do
      if key ~= "options" and key ~= "outputs" or next(inner) ~= nil then return false end
    end
  end
  return true
end

--- What the flow's adviser makes of a breakpoint. Raises a string when it fails or what it gives is
--- no patch of the flow.
---@param within string what names begin with in the patch: "" or, of a sub-flow, "load/"
---@return string? patch JSON, nil: it has nothing to propose
---@return string? origin
---@return string? reason
---@return integer? automatic how many proposals of a run may be applied by themselves, 0: not this
function adviser.ask(flow, info, find_flow, within)
  if not info.failed[1] then return nil end -- only the run's timeout was over
  local ok, given, name = pcall(flow.options.on_breakpoint, adviser.breakpoint(flow, info))
  if not ok then error(given, 0) end
  if given == nil or given == false then return nil end
  patch.check_shape(given, "on_breakpoint")
  for _, key in ipairs { "script", "rename" } do
    if given[key] then error(("patch.%s: cannot be proposed"):format(key), 0) end
  end
  if name ~= nil and type(name) ~= "string" then
    error("on_breakpoint: " .. fault.expected("a name as second result", name), 0)
  end
  local whole = patch.build(flow, {}, patch.read { patch = given }, find_flow)
  if is_empty(whole) then return nil end
  check(flow, whole, find_flow)
  local given_auto = flow.options.auto
  return value.encode(outer(whole, within), "patch"), within .. (name or "on_breakpoint"),
    whole.reason, auto.allows(given_auto, whole) and (given_auto.max or 1) or 0
end

return adviser
