-- Writes what docs/reference.md and lua/flow/types/options.lua say of the schema and the modules.
--
-- The page is written by hand except between "<!-- begin NAME -->" and "<!-- end -->": those parts
-- come from the tables that the language itself uses, and from the types files.
local options = require "flow.options"
local registry = require "flow.registry"
local schedule = require "flow.schedule"
local schema = require "flow.schema"

local reference = {}

--- The built-in node types, in the order of the page.
reference.node_types = { "shell", "exec", "lua", "map", "branch", "call", "sql" }

--- The Lua modules for scripts, in the order of the page.
reference.modules = { "json", "re", "fs", "time", "log", "process", "sqlite" }

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end
reference.read = read

-- ------------------------------------------------------------------------------------ options

local function number_range(spec)
  local min, max = spec.min, spec.max
  if min and max then return (" %s to %s"):format(min, max) end
  if min then return " from " .. min end
  return max and " up to " .. max or ""
end

-- The type of an option for people: "integer 0 to 100", "list of string", "one of `a` `b`".
local function type_text(spec)
  local words = {}
  for i, name in ipairs(spec.types) do
    if name == "enum" then
      local list = {}
      for j, word in ipairs(spec.enum) do list[j] = '`"' .. word .. '"`' end
      words[i] = table.concat(list, " ")
    elseif name == "integer" or name == "number" then
      words[i] = name .. number_range(spec)
    elseif (name == "list" or name == "map") and spec.of and spec.of.types[1] ~= "any" then
      words[i] = name .. " of " .. type_text(spec.of)
    elseif name == "word" then
      words[i] = "string or number"
    elseif name == "any" then
      words[i] = spec.name == "after" and "name, node or list" or "value"
    else
      words[i] = name
    end
  end
  return table.concat(words, " or ")
end

local function default_text(spec)
  if spec.required then return "required" end
  if spec.default ~= nil then
    local v = spec.default
    return type(v) == "string" and '`"' .. v .. '"`' or "`" .. tostring(v) .. "`"
  end
  return spec.show or "none"
end

local function cell(text) return (text:gsub("|", "\\|")) end

local function options_table(list)
  local out = { "| option | type | default | |", "| --- | --- | --- | --- |" }
  for _, spec in ipairs(list) do
    out[#out + 1] = ("| `%s` | %s | %s | %s |"):format(spec.name, cell(type_text(spec)),
      cell(default_text(spec)), cell(spec.doc or ""))
  end
  return table.concat(out, "\n")
end

-- The built-in types themselves, whatever a script before has put in their place.
local function use_built_in()
  registry.reset(nil, function(name)
    local module = "stdlib.node." .. name
    local load = package.preload[module]
    if load then return load(module), module end
  end)
end

local function node_types()
  use_built_in()
  local out = {}
  for _, name in ipairs(reference.node_types) do
    local ty = registry.get(name)
    out[#out + 1] = ("### flow.%s\n\n%s"):format(name, ty.doc)
    local kinds = {
      process = "Takes the options of [process nodes](#process-nodes) as well.",
      map = "Takes the options of [maps](#maps) as well.",
    }
    if kinds[ty.kind] then out[#out] = out[#out] .. " " .. kinds[ty.kind] end
    if ty.positional then
      local what = ty.positional.positional == "rest" and "entries are" or "entry is"
      out[#out] = out[#out] .. (" The positional %s `%s`."):format(what, ty.positional.name)
    end
    out[#out + 1] = options_table(ty.params)
  end
  return table.concat(out, "\n\n")
end

-- ------------------------------------------------------------------------------------ types files

local function flush(entry)
  local text = table.concat(entry, " ")
  for i = #entry, 1, -1 do entry[i] = nil end
  return text
end

--- What a types file declares: functions { name, args, doc, owner, method } and fields by class.
function reference.parse_types(text)
  local doc, functions, fields, class = {}, {}, {}, nil
  for line in (text .. "\n"):gmatch "(.-)\n" do
    local comment = line:match "^%-%-%- (.*)$"
    local owner, sign, name, args = line:match "^function (%w+)([.:])([%w_]+)%((.-)%) end"
    local field, rest = line:match "^%-%-%-@field ([%w_]+)%??%s+(.*)$"
    if line:match "^%-%-%-@class" then
      class = line:match "^%-%-%-@class ([%w_.]+)"
      fields[class] = fields[class] or { doc = flush(doc) }
    elseif field then
      local kind, said = rest:match "^(%S+)%s*(.*)$"
      if kind:find "^table<" then kind, said = rest:match "^(table<.->%??)%s*(.*)$" end
      if said == "" then said = flush(doc) else flush(doc) end
      table.insert(fields[class], { name = field, type = kind, doc = said })
    elseif comment then
      doc[#doc + 1] = comment
    elseif name then
      functions[#functions + 1] = { name = name, args = args, doc = flush(doc), owner = owner,
        method = sign == ":" }
    elseif not line:find "^%-%-%-" then
      flush(doc)
    end
  end
  return functions, fields
end

local function functions_table(prefix, functions, owner)
  local out = { "| function | |", "| --- | --- |" }
  for _, f in ipairs(functions) do
    if f.owner == owner then
      out[#out + 1] = ("| `%s%s%s(%s)` | %s |"):format(prefix, f.method and ":" or ".", f.name,
        f.args, cell(f.doc))
    end
  end
  return table.concat(out, "\n")
end

local function fields_table(prefix, fields)
  local out = { "| field | type | |", "| --- | --- | --- |" }
  for _, f in ipairs(fields) do
    out[#out + 1] = ("| `%s%s` | `%s` | %s |"):format(prefix, f.name, cell(f.type), cell(f.doc))
  end
  return table.concat(out, "\n")
end

local function module_part(root, name)
  local file = root .. "/lua/flow/types/" .. name .. ".lua"
  local functions, fields = reference.parse_types(read(file))
  local main = fields["flow." .. name]
  local out = { ("### %s\n\n%s"):format(name, main.doc), functions_table(name, functions, name) }
  local owners = {}
  for _, f in ipairs(functions) do
    if f.owner ~= name and not owners[f.owner] then
      owners[f.owner] = true
      out[#out + 1] = functions_table(f.owner:lower(), functions, f.owner)
    end
  end
  return table.concat(out, "\n\n")
end

-- ------------------------------------------------------------------------------------ the page

local function types_table()
  local out = { "| type | accepts |", "| --- | --- |" }
  for _, name in ipairs(schema.type_names) do
    out[#out + 1] = ("| `%s` | %s |"):format(name, cell(schema.expected { types = { name },
      enum = { "the words of `enum`" } }))
  end
  return table.concat(out, "\n")
end

--- The generated parts of the page by name. `root` is the top of the source tree.
function reference.parts(root)
  local parts = {
    ["node options"] = options_table(options.node),
    ["process options"] = options_table(options.process),
    ["code options"] = options_table(options.code),
    ["limits"] = options_table(options.limits),
    ["map options"] = options_table(options.map),
    ["flow options"] = options_table(options.flow),
    ["schedule options"] = options_table(schedule.options),
    ["node type options"] = options_table(options.node_type),
    ["exec options"] = options_table(options.exec),
    ["node types"] = node_types(),
    ["types"] = types_table(),
  }
  local functions, fields = reference.parse_types(read(root .. "/lua/flow/types/context.lua"))
  parts["ctx functions"] = functions_table("ctx", functions, "Context")
  parts["ctx fields"] = fields_table("ctx.", fields["flow.Context"])
  parts["run fields"] = fields_table("ctx.run.", fields["flow.Run"])
  parts["exec result"] = fields_table(".", fields["flow.ExecResult"])
  parts["failure"] = fields_table(".", fields["flow.Failure"])
  functions = reference.parse_types(read(root .. "/lua/flow/types/flow.lua"))
  parts["flow functions"] = functions_table("flow", functions, "flow")
  local modules = {}
  for i, name in ipairs(reference.modules) do modules[i] = module_part(root, name) end
  parts.modules = table.concat(modules, "\n\n")
  return parts
end

--- `page` with its generated parts as they should be; raises when it names a part that is none, or
--- leaves one out.
function reference.fill(page, parts)
  local used = {}
  local part = "(<!%-%- begin (.-) %-%->\n).-(<!%-%- end %-%->)"
  local filled = page:gsub(part, function(open, name, close)
    if not parts[name] then error("the page asks for a part that is none: " .. name, 0) end
    used[name] = true
    return open .. "\n" .. parts[name] .. "\n\n" .. close
  end)
  for name in pairs(parts) do
    if not used[name] then error("the page leaves out a part: " .. name, 0) end
  end
  return filled
end

-- ------------------------------------------------------------------------------------ LuaCATS

local lua_types = {
  word = "string|number", duration = "flow.Duration", size = "flow.Size", node = "flow.Node",
  flow = "flow.Dag", name = "string", zone = "string", ["function"] = "function", any = "any",
}

local function annotation(spec)
  local words = {}
  for i, name in ipairs(spec.types) do
    if name == "enum" then
      local list = {}
      for j, word in ipairs(spec.enum) do list[j] = '"' .. word .. '"' end
      words[i] = table.concat(list, "|")
    elseif name == "list" then
      words[i] = spec.of and "(" .. annotation(spec.of) .. ")[]" or "any[]"
    elseif name == "map" then
      words[i] = ("table<string, %s>"):format(spec.of and annotation(spec.of) or "any")
    else
      words[i] = lua_types[name] or name
    end
  end
  return (table.concat(words, "|"):gsub("%((%w+)%)%[%]", "%1[]"))
end

-- What functions in options get and give, by class and option: the schema knows no more than that
-- they are functions.
local signatures = {
  ["flow.NodeOptions"] = {
    when = "fun(ctx: flow.Context): any", merge = "fun(key: string, values: any[]): any",
    retry_on = "fun(failure: flow.Failure): any",
  },
  ["flow.DagOptions"] = { on_breakpoint = "fun(bp: table): table?, string?" },
  ["flow.ScheduleOptions"] = { calendar = "fun(date: string): any" },
  ["flow.NodeTypeOptions"] = {
    run = "fun(ctx: flow.Context, p: table): any",
    resume = "fun(ctx: flow.Context, p: table, checkpoint: any): any",
    cancel = "fun(ctx: flow.Context, p: table)",
    command = "fun(ctx: flow.Context, p: table): table",
    expand = "fun(ctx: flow.Context, p: table): any[]",
    choose = "fun(ctx: flow.Context, p: table): string|string[]|nil",
    call = "fun(ctx: flow.Context, p: table): flow.Dag|string, table?",
    check = "fun(options: table): string?, string?",
  },
  ["flow.LuaNode"] = { run = "fun(ctx: flow.Context): any" },
  ["flow.MapNode"] = {
    over = "fun(ctx: flow.Context): any[]",
    run = "fun(ctx: flow.Context, item: any, index: integer): any",
  },
  ["flow.BranchNode"] = { choose = "fun(ctx: flow.Context): string|string[]|nil" },
  ["flow.CallNode"] = { params = "fun(ctx: flow.Context): table<string, any>" },
}

local function with_signature(kind, class_name, option)
  if not kind:find "%f[%w]function%f[%W]" then return kind end
  local signature = (signatures[class_name] or {})[option]
  if not signature then
    error(("%s.%s: what the function gets and gives is not said"):format(class_name, option), 0)
  end
  if kind == "function" then return signature end
  return (kind:gsub("%f[%w]function%f[%W]", function() return "(" .. signature .. ")" end))
end

local special = {
  after = "string|flow.Node|(string|flow.Node)[]", schedule = "flow.Schedule|flow.Schedule[]",
  limits = "flow.Limits", defaults = "flow.NodeOptions", params = "table<string, any>",
}

local function wrap(text, out)
  local line = "---"
  for word in text:gmatch "%S+" do
    if #line + 1 + #word > 100 then
      out[#out + 1] = line
      line = "---"
    end
    line = line .. " " .. word
  end
  out[#out + 1] = line
end

local function class(out, name, parents, list)
  out[#out + 1] = ("---@class %s%s"):format(name, parents and ": " .. parents or "")
  for _, spec in ipairs(list) do
    local default = spec.required and "" or (" (default: %s)"):format(default_text(spec))
    wrap((spec.doc or "") .. default, out)
    local kind = with_signature(not spec.own and special[spec.name] or annotation(spec), name,
      spec.name)
    if spec.positional then
      out[#out + 1] = ("---@field [%s] %s"):format(spec.positional == "rest" and "integer" or "1",
        spec.positional == "rest" and spec.of and annotation(spec.of) or kind)
    end
    out[#out + 1] = ("---@field %s%s %s"):format(spec.name, spec.required and not spec.positional
      and "" or "?", kind)
  end
  out[#out + 1] = ""
end

--- The text of lua/flow/types/options.lua.
function reference.types_text()
  use_built_in()
  local out = {
    "---@meta", 'error "meta file: not to be required"', "",
    "--- What flows and nodes take. Written from the schema by tests/lua/write_docs.lua.", "",
  }
  class(out, "flow.NodeOptions", nil, options.node)
  class(out, "flow.ProcessOptions", "flow.NodeOptions", options.process)
  class(out, "flow.CodeOptions", "flow.NodeOptions", options.code)
  class(out, "flow.Limits", nil, options.limits)
  class(out, "flow.ItemsOptions", "flow.CodeOptions", options.map)
  class(out, "flow.DagOptions", nil, options.flow)
  class(out, "flow.ScheduleOptions", nil, schedule.options)
  class(out, "flow.NodeTypeOptions", nil, options.node_type)
  class(out, "flow.ChildOptions", nil, options.exec)
  for _, name in ipairs(reference.node_types) do
    local ty = registry.get(name)
    local parents = { process = "flow.ProcessOptions", map = "flow.ItemsOptions",
      worker = "flow.CodeOptions" }
    local options_class = ("flow.%sNode"):format((name:gsub("^%l", string.upper)))
    class(out, options_class, parents[ty.kind] or "flow.NodeOptions", ty.params)
    wrap(ty.doc, out)
    out[#out + 1] = ("---@param options %s"):format(options_class)
    out[#out + 1] = "---@return flow.Node"
    out[#out + 1] = ("function flow.%s(options) end"):format(name)
    out[#out + 1] = ""
  end
  out[#out] = nil
  local text = table.concat(out, "\n") .. "\n"
  text = text:gsub("(\n%-%-%-@class flow.NodeOptions)",
    "\n---@class (partial) flow\nlocal flow = {}\n%1", 1)
  return text .. "\nreturn flow\n"
end

return reference
