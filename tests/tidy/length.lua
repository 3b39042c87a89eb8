-- Checks that functions, files and lines stay short enough to be read.
local tidy = require "tests.support.tidy"

local function_lines_max = 70
local file_lines_max = 700 -- broken above this ...
local file_lines_wanted = 500 -- ... and told above this
local columns_max = 100

-- Columns as a reader sees them: a character of several bytes is one.
local function width(line)
  local _, continued = line:gsub("[\128-\191]", "")
  return #line - continued
end

-- A function of C begins with a line that starts in the first column and ends with `{` (or the line
-- that its `{` closes), and ends with `}` in the first column.
local function check_c(path, text)
  local bare = {}
  for line in (tidy.bare_c(text) .. "\n"):gmatch("(.-)\n") do bare[#bare + 1] = line end
  local head
  local open
  for n, line in ipairs(bare) do
    if not open and line:find("^[%a_]") then head = n end
    if not open and head and line:find("{%s*$") and line:find("%)") then open = head end
    if line:find("^}") then
      if open and n - open + 1 > function_lines_max then
        local name = table.concat(bare, " ", open, math.min(open + 3, n)):match("([%w_]+)%s*%(")
        tidy.found(path, open, "%s has %d lines, at most %d", tostring(name), n - open + 1,
          function_lines_max)
      end
      head, open = nil, nil
    end
  end
end

-- A function of Lua ends with the first `end` that stands as far in as the line it began on.
local function check_lua(path, lines)
  for n, line in ipairs(lines) do
    local bare = line:gsub('"[^"]*"', '""'):gsub("%-%-.*", "")
    local indent = bare:match("^(%s*).*%f[%w_]function%f[^%w_]")
    if indent and not line:find("%f[%w_]end%f[^%w_][%s,)}]*$") then
      for last = n + 1, #lines do
        if lines[last]:find("^" .. indent .. "end%f[^%w_]") then
          if last - n + 1 > function_lines_max then
            tidy.found(path, n, "a function of %d lines, at most %d", last - n + 1,
              function_lines_max)
          end
          break
        end
      end
    end
  end
end

local files = tidy.files("%.[ch]$", "%.lua$", "%.sh$", "^tests/run$")
for _, path in ipairs(files) do
  local lines = tidy.lines(path)
  if #lines > file_lines_max and path ~= "runtime/include/flowlua.h" then
    tidy.found(path, #lines, "%d lines, at most %d", #lines, file_lines_max)
  elseif #lines > file_lines_wanted then
    print(("%s:%d: note: %d lines, wanted are %d"):format(path, #lines, #lines, file_lines_wanted))
  end
  for n, line in ipairs(lines) do
    if width(line) > columns_max then
      tidy.found(path, n, "%d columns, at most %d", width(line), columns_max)
    end
  end
  if path:find("%.c$") then check_c(path, tidy.read(path)) end
  -- A spec's `describe` is a function that holds a whole file.
  if path:find("%.lua$") and not path:find("_spec%.lua$") then check_lua(path, lines) end
end
tidy.done(#files .. " files")
