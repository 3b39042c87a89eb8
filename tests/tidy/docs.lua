-- Checks that every link in the documents leads somewhere and every document can be reached.
local tidy = require "tests.support.tidy"

-- The name GitHub gives a heading.
local function anchor(heading)
  return (heading:lower():gsub("`", ""):gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

local anchors = {}
local function anchors_of(path)
  if anchors[path] then return anchors[path] end
  local set, fenced = {}, false
  for line in io.lines(path) do
    if line:find("^```") then fenced = not fenced end
    local heading = not fenced and line:match("^#+%s+(.-)%s*$")
    if heading then set[anchor(heading)] = true end
  end
  anchors[path] = set
  return set
end

-- "docs" + "../README.md" -> "README.md"
local function resolve(from, target)
  local parts = {}
  local folder = from:match("^(.*)/[^/]*$") or ""
  for part in (folder .. "/" .. target):gmatch("[^/]+") do
    if part == ".." then
      table.remove(parts)
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return table.concat(parts, "/")
end

local function is_there(path)
  return tidy.exists(path) or tidy.exists(path .. "/.")
end

local documents = tidy.files("^README%.md$", "^docs/.*%.md$")
local leads = {}
for _, path in ipairs(documents) do
  leads[path] = {}
  local fenced, n = false, 0
  for line in io.lines(path) do
    n = n + 1
    if line:find("^```") then fenced = not fenced end
    for target in (fenced and "" or line:gsub("`[^`]*`", "")):gmatch("%]%(([^)%s]+)%)") do
      if not target:find("^%a+:") then
        local file, mark = target:match("^([^#]*)#?(.*)$")
        local to = file == "" and path or resolve(path, file)
        if not is_there(to) then
          tidy.found(path, n, "link to %s, which is not there", target)
        elseif mark ~= "" and to:find("%.md$") and not anchors_of(to)[mark] then
          tidy.found(path, n, "link to %s: no such heading", target)
        end
        leads[path][to] = true
      end
    end
  end
end

local reached, queue = {}, { "README.md", "docs/ARCHITECTURE.md" }
while #queue > 0 do
  local path = table.remove(queue)
  if not reached[path] then
    reached[path] = true
    for to in pairs(leads[path] or {}) do
      queue[#queue + 1] = to
      -- A link to a folder leads to what is in it.
      for _, other in ipairs(documents) do
        if other:sub(1, #to + 1) == to .. "/" then queue[#queue + 1] = other end
      end
    end
  end
end
for _, path in ipairs(documents) do
  if not reached[path] then
    tidy.found(path, 1, "cannot be reached from README.md or docs/ARCHITECTURE.md")
  end
end
tidy.done(#documents .. " documents")
