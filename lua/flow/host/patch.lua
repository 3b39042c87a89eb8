-- What C calls to have a patch built and checked, and a flow asked for one.
local adviser = require "flow.adviser"
local context = require "flow.context"
local patch = require "flow.patch"
local patch_path = require "flow.patch_path"
local patch_target = require "flow.patch_target"
local trace = require "flow.trace"
local value = require "flow.value"

local patching = {}

-- Finds flows of the same script by their keys.
local function finder(flow)
  return function(key)
    for _, other in ipairs(flow.siblings) do
      if other.key == key then return other end
    end
  end
end

--- The patch that a request (JSON) makes, and the same split (flow.patch_path), as JSON; the flow
--- is the one that goes on, before options are changed. One that is to go on with another script
--- has to be asked of that: returns false and its path, unless this is it. Raises a string.
---@param is_mended boolean the flow is of the script that the patch names
---@return string|false patch
---@return string own or path
---@return boolean? wakes a run that has succeeded goes on for it
function patching.make_patch(flow, request, is_mended)
  request = value.decode(request)
  local given = patch.read(request)
  local script = request.script or given.script
  if script and not is_mended then return false, script end
  local built = patch.build(flow, request, given, finder(flow))
  return value.encode(built, "patch"), value.encode(patch_path.split(built), "patch"),
    patch.wakes(built)
end

--- What the names of a patch that was split (JSON) stand for in the flow that goes on with it, as
--- JSON (flow.patch_target), once it is checked. `former`: names of the nodes before. With `old`
--- (JSON), the params so far, also those from here on, as JSON. Raises a string.
---@return string found
---@return string? params
function patching.resolve_patch(flow, text, former, old)
  local given, names = value.decode(text), {}
  for _, name in ipairs(former) do names[name] = true end
  patch.check_flow(flow, given, { key = flow.key, graph = {
    find = function(_, name) return names[name] end,
    count = function() return #former end,
    name = function(_, i) return former[i + 1] end } })
  local new = old and patch.params(flow, value.decode(old), given.params)
  return value.encode(patch_target.find(flow, given), "patch"), new and value.encode(new, "params")
end

--- What the flow's on_breakpoint proposes, see flow.adviser. Raises a string.
function patching.advise(flow, info, within)
  local ok, text, origin, reason, automatic = context.call(nil, function()
    return adviser.ask(flow, value.decode(info), finder(flow), within)
  end)
  if ok then return text, origin, reason, automatic end
  if type(text) ~= "string" then text = text.trace or text.text end
  error("on_breakpoint: " .. trace.cut(text), 0)
end

return patching
