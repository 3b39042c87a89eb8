-- What the checks in tests/tidy share: lists of files, how findings are told, how a check ends.
local tidy = {}

local findings = 0

--- Files of the tree whose path matches one of the Lua patterns, in order. Paths start at the root
--- of the checkout, which is the current directory.
---@param ... string
---@return string[]
function tidy.files(...)
  local wanted = { ... }
  local found = {}
  local skipped = "\\( -path ./.git -o -path ./build -o -name .flowlua \\) -prune"
  local pipe = assert(io.popen("find . " .. skipped .. " -o -type f -print"))
  for path in pipe:lines() do
    path = path:sub(3)
    for _, pattern in ipairs(wanted) do
      if path:find(pattern) then
        found[#found + 1] = path
        break
      end
    end
  end
  pipe:close()
  table.sort(found)
  return found
end

---@param path string
---@return string
function tidy.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

---@param path string
---@return string[]
function tidy.lines(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

---@param path string
---@return boolean
function tidy.exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

--- A C file's text without comments and string contents; lines stay where they are.
---@param text string
---@return string
function tidy.bare_c(text)
  local out, i, n = {}, 1, #text
  local function blank(from, to)
    out[#out + 1] = text:sub(from, to):gsub("[^\n]", " ")
  end
  while i <= n do
    local two, one = text:sub(i, i + 1), text:sub(i, i)
    local last
    if two == "//" then
      last = (text:find("\n", i, true) or n + 1) - 1
      blank(i, last)
    elseif two == "/*" then
      last = select(2, text:find("*/", i + 2, true)) or n
      blank(i, last)
    elseif one == '"' or one == "'" then
      last = i + 1
      while last <= n and text:sub(last, last) ~= one do
        last = last + (text:sub(last, last) == "\\" and 2 or 1)
      end
      out[#out + 1] = one
      blank(i + 1, last - 1)
      out[#out + 1] = one
    else
      last = (text:find("[/\"']", i + 1) or n + 1) - 1
      out[#out + 1] = text:sub(i, last)
    end
    i = last + 1
  end
  return table.concat(out)
end

--- Says that a rule is broken.
---@param path string
---@param line integer
---@param what string
---@param ... any
function tidy.found(path, line, what, ...)
  findings = findings + 1
  print(("%s:%d: %s"):format(path, line, what:format(...)))
end

--- Ends the check: exit 1 when anything was found.
---@param what string what was looked at, with its count
function tidy.done(what)
  print(("%s: %s, %d found"):format(arg[0]:match("([%w_]+)%.lua$"), what, findings))
  os.exit(findings == 0 and 0 or 1)
end

--- Ends the check without a verdict.
---@param why string
function tidy.skip(why)
  print(("%s: skipped: %s"):format(arg[0]:match("([%w_]+)%.lua$"), why))
  os.exit(77)
end

return tidy
