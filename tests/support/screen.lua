-- A terminal as a program sees it: a window of rows and columns, and what has scrolled out of it.
--
-- It knows what FlowLua writes: text of any width, \r, \n, cursor up, clearing, styles, and
-- synchronized updates, at the end of each of which it calls `on_frame`. Anything else is an error:
-- a program that moves the cursor in another way is to be seen here first.
local screen = {}
screen.__index = screen

-- Ranges of characters that take two columns; enough for what the specs write.
local wide = { { 0x1100, 0x115F }, { 0x2E80, 0xA4CF }, { 0xAC00, 0xD7A3 }, { 0xF900, 0xFAFF },
  { 0xFE30, 0xFE6F }, { 0xFF00, 0xFF60 }, { 0xFFE0, 0xFFE6 }, { 0x1F300, 0x1FAFF } }

local function code_of(char)
  local first = char:byte()
  if first < 0x80 then return first end
  local code = first % (first >= 0xF0 and 8 or first >= 0xE0 and 16 or 32)
  for i = 2, #char do code = code * 64 + char:byte(i) % 64 end
  return code
end

local function width_of(char)
  local code = code_of(char)
  for _, range in ipairs(wide) do
    if code >= range[1] and code <= range[2] then return 2 end
  end
  return 1
end

---@param rows integer
---@param columns integer
---@param on_frame? fun(s: table) after each synchronized update
function screen.new(rows, columns, on_frame)
  local s = setmetatable({ rows = rows, columns = columns, row = 1, column = 1, history = {},
    cells = {}, frames = 0, rest = "", on_frame = on_frame }, screen)
  for r = 1, rows do s.cells[r] = {} end
  return s
end

function screen:new_line()
  if self.row < self.rows then
    self.row = self.row + 1
    return
  end
  self.history[#self.history + 1] = self:line(1)
  table.remove(self.cells, 1)
  self.cells[self.rows] = {}
end

function screen:put(char)
  local width = width_of(char)
  if self.column + width - 1 > self.columns then
    self.column = 1
    self:new_line()
  end
  self.cells[self.row][self.column] = char
  if width == 2 then self.cells[self.row][self.column + 1] = "" end
  self.column = self.column + width
end

function screen:clear_row_from(row, column)
  for c = column, self.columns do self.cells[row][c] = nil end
end

function screen:escape(mode, number, what)
  if what == "m" then return end
  if mode == "?" and number == "2026" then
    if what == "l" then
      self.frames = self.frames + 1
      if self.on_frame then self:on_frame() end
    end
  elseif what == "A" then
    local n = tonumber(number) or 1
    if n >= self.row then error(("cursor up by %d from row %d"):format(n, self.row)) end
    self.row = self.row - n
  elseif what == "K" then
    self:clear_row_from(self.row, self.column)
  elseif what == "J" then
    -- Some terminals keep what is cleared from the first cell on among what has scrolled away.
    if self.row == 1 and self.column == 1 then error("cleared from the first cell on") end
    self:clear_row_from(self.row, self.column)
    for r = self.row + 1, self.rows do self.cells[r] = {} end
  else
    error(("unknown escape ESC[%s%s%s"):format(mode, number, what))
  end
end

--- Takes bytes as they come; what is cut off in the middle of a character waits for the rest.
function screen:feed(bytes)
  local text = self.rest .. bytes
  local at = 1
  while at <= #text do
    local char = text:sub(at, at)
    if char == "\27" then
      local mode, number, what, after = text:match("^%[(%??)([%d;]*)(%a)()", at + 1)
      if not what then break end
      self:escape(mode, number, what)
      at = after
    elseif char == "\r" then
      self.column = 1
      at = at + 1
    elseif char == "\n" then
      self:new_line()
      at = at + 1
    else
      local first = char:byte()
      local size = first < 0x80 and 1 or first >= 0xF0 and 4 or first >= 0xE0 and 3 or 2
      if at + size - 1 > #text then break end
      self:put(text:sub(at, at + size - 1))
      at = at + size
    end
  end
  self.rest = text:sub(at)
end

--- What stands in a row, without blanks at its end.
function screen:line(row)
  local parts = {}
  for c = 1, self.columns do parts[c] = self.cells[row][c] or " " end
  return (table.concat(parts):gsub("%s+$", ""))
end

--- The rows of the window down to the last one that is not empty.
function screen:lines()
  local list, last = {}, 0
  for r = 1, self.rows do
    list[r] = self:line(r)
    if list[r] ~= "" then last = r end
  end
  for r = last + 1, self.rows do list[r] = nil end
  return list
end

--- All that was ever written and stayed, from the first line on.
function screen:all()
  local list = {}
  for _, line in ipairs(self.history) do list[#list + 1] = line end
  for _, line in ipairs(self:lines()) do list[#list + 1] = line end
  return list
end

return screen
