-- Checks that every file says its one job in its first comment line.
local tidy = require "tests.support.tidy"

-- What opens a comment, by how a file's name ends; a script without an ending is known by its `#!`.
local openers = { c = "//", h = "//", lua = "%-%-+", sh = "#", txt = "#", cmake = "#" }
local words_min = 3 -- fewer say a name, not a job

local files = tidy.files("%.[ch]$", "%.lua$", "%.sh$",
  "^CMakeLists%.txt$", "^%.ci/run$", "^tests/run$", "^tests/crash/[%w_]+$", "^tests/bench/[%w_]+$")
for _, path in ipairs(files) do
  local lines = tidy.lines(path)
  local n = 1
  if lines[1] and lines[1]:find("^#!") then n = 2 end
  -- A types file says `---@meta` and refuses to be required before all else.
  if lines[n] and lines[n]:find("^%-%-%-@meta") then
    repeat n = n + 1 until not lines[n] or lines[n]:find("^%-%-")
  end
  local opener = openers[path:match("%.(%w+)$") or "sh"] or "#"
  local said = lines[n] and lines[n]:match("^" .. opener .. "%s*(.*)$")
  if not said then
    tidy.found(path, n, "says no job: expected a comment")
  else
    local _, words = said:gsub("%S+", "")
    if words < words_min then
      tidy.found(path, n, "says no job: \"%s\"", said)
    elseif said:lower():find("^[%w_]+%.[ch]%f[%W]") then
      tidy.found(path, n, "repeats the file's name instead of its job")
    end
  end
end
tidy.done(#files .. " files")
