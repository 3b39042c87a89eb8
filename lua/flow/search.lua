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
    modules = {} }, Sources)
end

-- The text of a file beside the script. What a snapshot holds comes from there; anything else (a
-- module with a computed name, required later) can only come from the disk.
function Sources:read(path)
  local text = self.texts and self.texts[path]
  if not text then text = read_file(self.dir .. "/" .. path) end
  if text and not self.seen[path] then
    self.seen[path] = true
    self.list[#self.list + 1] = { path = path, data = text }
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

--- Paths that module `name` may have, relative to a folder.
function search.beside(name)
  local path = name:gsub("%.", "/")
  return { path .. ".lua", path .. "/init.lua" }
end

--- Loads a text as a chunk whose messages name the file as the user would; raises its syntax error.
---@param text string
---@param shown string
function search.load(text, shown)
  if text:sub(1, 1) == "\27" then error(shown .. ": expected Lua text, got bytecode", 0) end
  local chunk, err = loadstring((text:gsub("^#[^\n]*", "", 1)), "@" .. shown)
  if chunk then return chunk end
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

local function load_from(templates, name, tried)
  local path = name:gsub("%.", "/")
  for _, entry in ipairs(templates) do
    local file = entry:gsub("?", (path:gsub("%%", "%%%%")))
    local text = read_file(file)
    if text then return search.load(text, file), file end
    tried[#tried + 1] = "\n\tno file '" .. file .. "'"
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
    local tried = {}
    for _, path in ipairs(search.beside(name)) do
      local chunk = load_beside(sources, path)
      if chunk then
        sources.modules[#sources.modules + 1] = name
        return chunk
      end
      tried[#tried + 1] = "\n\tno file '" .. sources.prefix .. path .. "'"
    end
    return table.concat(tried)
  end
end

local function path_searcher(templates)
  return function(name)
    if is_ours(name) then return nil end
    local tried = {}
    return (load_from(templates, name, tried)) or table.concat(tried)
  end
end

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
---@return function undo puts back what was there before
function search.install(sources)
  local path, cpath = package.path, package.cpath
  local templates = templates_of(os.getenv "FLOWLUA_PATH")
  if not os.getenv "LUA_PATH" then package.path = without_here(standard_path) end
  if not os.getenv "LUA_CPATH" then package.cpath = without_here(standard_cpath) end
  local loaders = { beside_searcher(sources), path_searcher(templates) }
  for i, loader in ipairs(standard) do loaders[i + 2] = loader end
  local before = { unpack(package.loaders) }
  set_loaders(loaders)
  search.templates = templates
  return function()
    set_loaders(before)
    for _, name in ipairs(sources.modules) do package.loaded[name] = nil end
    package.path, package.cpath = path, cpath
  end
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
  chunk, file = load_from(search.templates, "nodes." .. name, {})
  if chunk then return chunk("nodes." .. name), file end
  local module = "stdlib.node." .. name
  local load_embedded = package.preload[module]
  if load_embedded then return load_embedded(module), module end
end

return search
