-- Finds modules and node types: beside the script first, then on FLOWLUA_PATH, then what is
-- embedded,
-- then what the system's Lua 5.1 offers. What is read from beside the script is kept for the
-- snapshot.
local search = {}

---@class flow.Sources
---@field dir string absolute folder of the script
---@field prefix string what stands before a relative path in messages ("" or "some/folder/")
---@field texts table<string, string>? a snapshot: relative path -> text
---@field list { path: string, data: string }[] what was read, script first
---@field seen table<string, boolean>
---@field modules string[] names of the modules that were loaded from beside the script
---@field is_missed table<string, boolean> the same by path
---@field missed string[] relative paths that were looked for and are not there
---@field shareable boolean what they make is made again by the same texts, as far as one can see
local Sources = {}
Sources.__index = Sources

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a" -- nil for a folder
  file:close()
  return text
end

---@param dir string
---@param typed string the script's path as the user wrote it
---@param texts table<string, string>?
---@return flow.Sources
function search.sources(dir, typed, texts)
  local prefix = typed:match "^(.*/)[^/]*$" or ""
  return setmetatable({ dir = dir, prefix = prefix, texts = texts, list = {}, seen = {},
    modules = {}, missed = {}, is_missed = {}, shareable = true }, Sources)
end

-- Names in a text by which it may look at more than itself while it loads: files, the environment,
-- the clock. Written in a function they do no harm, but that is not told apart.
local outside = { "io", "os", "ffi", "dofile", "loadfile", "getfenv", "_G", "package", "debug" }
local outside_modules = { "fs", "process", "sqlite", "time" }

local function looks_outside(text)
  for _, name in ipairs(outside) do
    if text:find("%f[%w_]" .. name .. "%f[^%w_]") then return true end
  end
  for _, name in ipairs(outside_modules) do
    if text:find("require%s*%(?%s*[\"'%[]+[flow.]*" .. name .. "[\"'%]]") then return true end
  end
  return false
end

-- The text of a file beside the script. What a snapshot holds comes from there; anything else (a
-- module with a computed name, required later) can only come from the disk.
function Sources:read(path)
  local text = self.texts and self.texts[path]
  if not text then text = read_file(self.dir .. "/" .. path) end
  if self.seen[path] then return text end
  self.seen[path] = true
  if text then
    self.list[#self.list + 1] = { path = path, data = text }
    if looks_outside(text) then self.shareable = false end
  else
    self.missed[#self.missed + 1] = path
    self.is_missed[path] = true
  end
  return text
end

-- Modules that are named in the code but may be required only while a node runs belong to the
-- snapshot as well.
function Sources:read_mentioned(text)
  for name in text:gmatch "require%s*%(?%s*[\"']([%w_.-]+)[\"']" do
    for _, path in ipairs(search.beside(name)) do
      if not self.seen[path] then
        local found = self:read(path)
        if found then
          self:read_mentioned(found)
          break
        end
      end
    end
  end
end

--- Whether the script, or a module that is named in it, names the module `name`.
function Sources:mentions(name)
  for _, source in ipairs(self.list) do
    for one in source.data:gmatch "require%s*%(?%s*[\"']([%w_.-]+)[\"']" do
      if one == name then return true end
    end
  end
  return false
end

--- Modules that the texts name and that are nowhere, with the line: "file:line: module ...".
---@return string[]
function Sources:nowhere()
  local list, told = {}, {}
  for _, source in ipairs(self.list) do
    local number = 0
    for line in (source.data .. "\n"):gmatch "(.-)\n" do
      number = number + 1
      local code = line:gsub("%-%-.*$", "")
      for name in code:gmatch "require%s*%(?%s*[\"']([%w_.-]+)[\"']" do
        if not told[name] and not code:find("pcall", 1, true) and not search.exists(self, name) then
          told[name] = true
          list[#list + 1] = ("%s%s:%d: module '%s' not found:%s"):format(self.prefix, source.path,
            number, name, search.NOWHERE)
        end
      end
    end
  end
  return list
end

--- Paths that module `name` may have, relative to a folder.
function search.beside(name)
  local path = name:gsub("%.", "/")
  return { path .. ".lua", path .. "/init.lua" }
end

--- Of the script and its modules; see flow.environment.
search.globals = _G

--- Loads a text as a chunk whose messages name the file as the user would; raises its syntax error.
---@param text string
---@param shown string
function search.load(text, shown)
  if text:sub(1, 1) == "\27" then error(shown .. ": expected Lua text, got bytecode", 0) end
  local chunk, err = loadstring((text:gsub("^#[^\n]*", "", 1)), "@" .. shown)
  if chunk then return setfenv(chunk, search.globals) end
  -- LuaJIT shortens long names in messages: the place is told by its end.
  local line, reason = err:match "^.-:(%d+): (.*)$"
  error(line and ("%s:%s: %s"):format(shown, line, reason) or err, 0)
end

local function load_beside(sources, path)
  local text = sources:read(path)
  if not text then return nil end
  local chunk = search.load(text, sources.prefix .. path)
  sources:read_mentioned(text)
  return chunk
end

-- "a/?.lua;b" -> templates; a plain folder means ?.lua and ?/init.lua in it.
local function templates_of(path)
  local list = {}
  for entry in (path or ""):gmatch "[^;]+" do
    if entry:find("?", 1, true) then
      list[#list + 1] = entry
    else
      entry = entry:gsub("/$", "")
      list[#list + 1] = entry .. "/?.lua"
      list[#list + 1] = entry .. "/?/init.lua"
    end
  end
  return list
end

local function load_from(templates, name)
  local path = name:gsub("%.", "/")
  for _, entry in ipairs(templates) do
    local file = entry:gsub("?", (path:gsub("%%", "%%%%")))
    local text = read_file(file)
    if text then return search.load(text, file), file end
  end
end

--- True for the names that the language keeps to itself.
local function is_ours(name)
  return name == "flow" or name:find "^flow%." or name:find "^stdlib%."
end
search.is_ours = is_ours

local function beside_searcher(sources)
  return function(name)
    if is_ours(name) then return nil end
    for _, path in ipairs(search.beside(name)) do
      local chunk = load_beside(sources, path)
      if chunk then
        sources.modules[#sources.modules + 1] = name
        return chunk
      end
    end
  end
end

local function path_searcher(templates)
  return function(name)
    if is_ours(name) then return nil end
    return (load_from(templates, name))
  end
end

-- What it finds is no part of the snapshot, and sees the script's globals.
local function outside_searcher(sources, search_module)
  return function(name)
    local found = search_module(name)
    if type(found) ~= "function" then return nil end
    sources.shareable = false
    if debug.getinfo(found, "S").what ~= "C" then setfenv(found, search.globals) end
    return found
  end
end

--- How require() ends what it says of a module that is nowhere.
search.NOWHERE = " neither beside the script, nor on FLOWLUA_PATH, nor in Lua's paths"

local function last_searcher() return search.NOWHERE end

-- The standard searchers, and the paths as Lua set them up, before the first script changed them.
local standard = { unpack(package.loaders) }
local standard_path, standard_cpath = package.path, package.cpath

local function set_loaders(loaders)
  for i = #package.loaders, 1, -1 do package.loaders[i] = nil end
  for i, loader in ipairs(loaders) do package.loaders[i] = loader end
end

local function without_here(path) return (";" .. path):gsub(";%./[^;]*", ""):gsub("^;", "") end

--- Installs the searchers for a script. A module of the script's folder goes before an embedded one
--- of the same name; what is in `flow` itself cannot be replaced.
---@param sources flow.Sources
---@param globals table the script's
---@return function undo puts back what was there before
function search.install(sources, globals)
  local path, cpath, outer = package.path, package.cpath, search.globals
  local templates = templates_of(os.getenv "FLOWLUA_PATH")
  if not os.getenv "LUA_PATH" then package.path = without_here(standard_path) end
  if not os.getenv "LUA_CPATH" then package.cpath = without_here(standard_cpath) end
  local loaders = { beside_searcher(sources), outside_searcher(sources, path_searcher(templates)) }
  loaders[3] = function(name) -- what is embedded
    local found = standard[1](name)
    return type(found) == "function" and found or nil
  end
  for i = 2, #standard do loaders[i + 2] = outside_searcher(sources, standard[i]) end
  loaders[#loaders + 1] = last_searcher
  local before = { unpack(package.loaders) }
  set_loaders(loaders)
  search.templates, search.globals = templates, globals
  return function()
    search.globals = outer
    set_loaders(before)
    for _, name in ipairs(sources.modules) do package.loaded[name] = nil end
    package.path, package.cpath = path, cpath
  end
end

--- Whether require() would find a module; nothing is run.
---@param sources flow.Sources
---@param name string
function search.exists(sources, name)
  if package.loaded[name] ~= nil or package.preload[name] ~= nil then return true end
  for _, path in ipairs(search.beside(name)) do
    if sources.seen[path] and not sources.is_missed[path] then return true end
  end
  local path = name:gsub("%.", "/"):gsub("%%", "%%%%")
  for _, entry in ipairs(search.templates) do
    if read_file((entry:gsub("?", path))) then return true end
  end
  return (package.searchpath(name, package.path) or package.searchpath(name, package.cpath)
    or package.searchpath(name:match "^[^.]*", package.cpath)) ~= nil
end

--- Names of the node types beside the script.
---@param sources flow.Sources
---@return string[]
function search.node_names(sources)
  local names = {}
  for _, file in ipairs(require("flow.core.fs").list(sources.dir .. "/nodes") or {}) do
    names[#names + 1] = file:match "^([%w_]+)%.lua$"
  end
  return names
end

--- Loads the file of a node type: nodes/<name>.lua beside the script, then on FLOWLUA_PATH, then
--- the embedded one. Returns what the file returned and where it is; nil: there is none.
---@param sources flow.Sources
---@param name string
---@return any result
---@return string? file
function search.node_type(sources, name)
  if not name:find "^[%w_]+$" then return nil end
  local path = "nodes/" .. name .. ".lua"
  local chunk = load_beside(sources, path)
  if chunk then return chunk("nodes." .. name), sources.prefix .. path end
  local file
  chunk, file = load_from(search.templates, "nodes." .. name)
  if chunk then sources.shareable = false end
  if chunk then return chunk("nodes." .. name), file end
  local module = "stdlib.node." .. name
  local load_embedded = package.preload[module]
  if load_embedded then return load_embedded(module), module end
end

return search
