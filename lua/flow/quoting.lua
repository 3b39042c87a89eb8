-- Follows the quotes of a shell's text as the shell does, to find a value that stands where its own
-- quotes would be none: within others, behind a backslash, in a comment.
--
-- Read for all shells of the POSIX kind at once: where they differ, a value is rather refused.
local quoting = {}

local find, sub, match = string.find, string.sub, string.match

--- What stands for a value in a text that is read; a command cannot hold it.
quoting.VALUE = "\0"

-- Words behind which a command begins, as it does behind `;` and `(`.
local openers = {}
for word in ("if then elif else while until do { ! time"):gmatch "%S+" do openers[word] = true end

local Misplaced = {} -- raised with the place of the first value that stands wrong

local function refuse(at, where) error(setmetatable({ at = at, where = where }, Misplaced), 0) end

-- Passes what stands up to `stop`; there is to be no value in it.
local function pass(r, stop, where)
  local value = find(r.text, "%z", r.at)
  if value and value < stop then refuse(value, where) end
  r.at = stop
end

local plain, dollar

local function single(r)
  local stop = find(r.text, "'", r.at, true) or #r.text + 1
  pass(r, stop, "'...'")
  r.at = stop + 1
end

local function backtick(r)
  local stop = r.at
  while stop <= #r.text do
    local char = sub(r.text, stop, stop)
    if char == "`" then break end
    stop = stop + (char == "\\" and 2 or 1)
  end
  pass(r, stop, "`...`")
  r.at = stop + 1
end

local function double(r)
  while r.at <= #r.text do
    local char = sub(r.text, r.at, r.at)
    if char == quoting.VALUE then refuse(r.at, '"..."') end
    r.at = r.at + 1
    if char == '"' then return end
    if char == "\\" then
      if sub(r.text, r.at, r.at) == quoting.VALUE then refuse(r.at, '"..."') end
      r.at = r.at + 1
    elseif char == "`" then
      backtick(r)
    elseif char == "$" then
      dollar(r, true)
    end
  end
end

-- What dash and bash end at different places leaves open where everything behind it stands.
local function ansi(r)
  local ends = find(r.text, "'", r.at, true) or #r.text + 1
  local at = r.at
  while at <= #r.text and sub(r.text, at, at) ~= "'" do
    at = at + (sub(r.text, at, at) == "\\" and 2 or 1)
  end
  if at ~= ends then pass(r, #r.text + 1, "$'...\\'...'") end
  single(r)
end

-- Expressions are expanded as between double quotes; that a subshell may stand here as well is no
-- loss.
local function arithmetic(r)
  local depth = 2
  while r.at <= #r.text and depth > 0 do
    local char = sub(r.text, r.at, r.at)
    if char == quoting.VALUE then refuse(r.at, "((...))") end
    r.at = r.at + (char == "\\" and 2 or 1)
    if char == "(" then depth = depth + 1
    elseif char == ")" then depth = depth - 1
    elseif char == '"' then double(r)
    elseif char == "'" then single(r)
    elseif char == "`" then backtick(r)
    elseif char == "$" then dollar(r, true) end
  end
end

local function brace(r, quoted)
  while r.at <= #r.text do
    local char = sub(r.text, r.at, r.at)
    if char == quoting.VALUE and quoted then refuse(r.at, '"..."') end
    r.at = r.at + 1
    if char == "}" then return end
    if char == "\\" then
      if sub(r.text, r.at, r.at) == quoting.VALUE then refuse(r.at, "\\") end
      r.at = r.at + 1
    elseif char == '"' then double(r)
    elseif char == "'" and not quoted then single(r)
    elseif char == "`" then backtick(r)
    elseif char == "$" then dollar(r, quoted) end
  end
end

-- Behind a `$`.
dollar = function(r, quoted)
  local two = sub(r.text, r.at, r.at + 1)
  local char = sub(two, 1, 1)
  if char == quoting.VALUE then refuse(r.at, "$") end
  if two == "((" then
    r.at = r.at + 2
    arithmetic(r)
  elseif char == "(" then
    r.at = r.at + 1
    plain(r, true)
  elseif char == "{" then
    r.at = r.at + 1
    brace(r, quoted)
  elseif char == "'" and not quoted then
    r.at = r.at + 1
    ansi(r)
  elseif char == "#" or char == "$" then
    r.at = r.at + 1
  end
end

-- `<<WORD`: its text begins with the next line.
local function here_document(r)
  local _, stop, dash = find(r.text, "^(%-?)[ \t]*", r.at)
  r.at = stop + 1
  local from = r.at
  while r.at <= #r.text do
    local char = sub(r.text, r.at, r.at)
    if char == quoting.VALUE then refuse(r.at, "<<") end
    if find(char, "[%s;&|<>()]") then break end
    r.at = r.at + 1
    if char == "\\" then r.at = r.at + 1
    elseif char == "'" then single(r)
    elseif char == '"' then double(r) end
  end
  local word = sub(r.text, from, r.at - 1):gsub("[\\'\"]", "")
  r.pending[#r.pending + 1] = { word = word, tabs = dash == "-" }
end

local function here_texts(r)
  for _, pending in ipairs(r.pending) do
    repeat
      local stop = find(r.text, "\n", r.at, true) or #r.text + 1
      local line = sub(r.text, r.at, stop - 1)
      pass(r, stop, "<<")
      r.at = stop + 1
      if pending.tabs then line = line:gsub("^\t+", "") end
    until line == pending.word or r.at > #r.text
  end
  r.pending = {}
end

-- Commands: the whole text, or what stands in `$( )` or `( )` up to its end.
plain = function(r, enclosed)
  local command, in_word, cases = true, false, 0
  local text = r.text
  local function apart(starts)
    in_word = false
    if starts then command = true end
  end
  while r.at <= #text do
    local char = sub(text, r.at, r.at)
    local at = r.at
    r.at = at + 1
    if char == "\\" then
      if sub(text, r.at, r.at) == quoting.VALUE then refuse(r.at, "\\") end
      if sub(text, r.at, r.at) ~= "\n" then in_word, command = true, false end
      r.at = at + 2
    elseif char == "#" and not in_word then
      pass(r, find(text, "\n", at, true) or #text + 1, "#")
    elseif char == "\n" then
      here_texts(r)
      apart(true)
    elseif find(char, "[;&|]") then
      apart(true)
    elseif find(char, "%s") then
      apart()
    elseif char == ")" then
      if enclosed and cases == 0 then return end
      apart(true) -- behind the pattern of a case
    elseif char == "(" then
      if not in_word and sub(text, r.at, r.at) == "(" then
        r.at = at + 2
        arithmetic(r)
      else
        plain(r, true)
      end
      apart(true)
    elseif char == "<" and sub(text, r.at, r.at) == "<" then
      if sub(text, at, at + 2) == "<<<" then
        r.at = at + 3
      else
        r.at = at + 2
        here_document(r)
      end
      apart()
    elseif char == "<" or char == ">" then
      apart()
    else
      local word = not in_word and match(text, "^[^%s'\"`$\\<>();&|%z]+", at)
      local whole = word and find(text, "^[%s;&|()]", at + #word) or word and at + #word > #text
      local opens
      if whole then
        r.at = at + #word
        if word == "case" and command and not find(text, "^[ \t]*[)|]", r.at) then
          cases = cases + 1
        elseif word == "esac" and command and cases > 0 then
          cases = cases - 1
        end
        opens = openers[word] and command or word == "in" and cases > 0
      elseif char == "'" then single(r)
      elseif char == '"' then double(r)
      elseif char == "`" then backtick(r)
      elseif char == "$" then dollar(r, false) end
      in_word, command = true, opens or false
    end
  end
end

--- The first value of a shell's text that stands where its quotes would not hold: its position, and
--- what it stands in or behind. nil: there is none.
---@param text string with quoting.VALUE for each value
---@return integer? at
---@return string? where
function quoting.misplaced(text)
  local ok, problem = pcall(plain, { text = text, at = 1, pending = {} }, false)
  if ok then return nil end
  if getmetatable(problem) ~= Misplaced then error(problem, 0) end
  return problem.at, problem.where
end

local shells = {}
for name in ("sh bash dash ash ksh mksh zsh"):gmatch "%S+" do shells[name] = true end

--- Whether a program is a shell of the POSIX kind, for which a value can be quoted.
---@param program any
function quoting.is_shell(program)
  return type(program) == "string" and shells[match(program, "([^/]+)$")] or false
end

return quoting
