-- Writes flowlua(3) from the comments of flowlua.h: `luajit man3.lua flowlua.3 flowlua.h`.
--
-- What the file says of itself, then its sections: each declaration with the comment above it.
local out, header = arg[1], arg[2]

-- Text as roff prints it: no request, no escape, and dashes that can be copied.
local function roff(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-")
  return (text:gsub("^([.'])", "\\&%1"))
end

local lines, n = {}, 0
for line in io.lines(header) do lines[#lines + 1] = line end

local page = {}
local function add(text) page[#page + 1] = text end
-- "  disk    files of ..." is a word and what it stands for.
local function add_prose(text)
  local word, meaning = text:match "^  (%S+)  +(.*)"
  add(word and ".TP\n.B " .. roff(word) or ".PP")
  add(roff(meaning or text))
end

-- Comment lines from n on, as paragraphs: "//" alone, and a word of a list, begins another one.
local function take_comment(mark)
  local paragraphs, open = {}, false
  while lines[n + 1] and lines[n + 1]:match("^" .. mark) do
    n = n + 1
    local text = lines[n]:sub(#mark + 1):gsub("^ ", "")
    if text == "" then
      open = false
    elseif not open or text:match "^  %S" then
      paragraphs[#paragraphs + 1], open = text, true
    else
      paragraphs[#paragraphs] = paragraphs[#paragraphs] .. " " .. text:gsub("^ +", "")
    end
  end
  return paragraphs
end

-- A declaration that begins in line n, to the ";" that ends it.
local function take_declaration()
  local depth, text = 0, {}
  repeat
    local line = lines[n]
    text[#text + 1] = line:gsub("^FL_API ", ""):gsub("^FL_MUST ", "")
    local code = line:gsub("//.*", "")
    for brace in code:gmatch "[{}]" do depth = depth + (brace == "{" and 1 or -1) end
    if depth == 0 and code:find ";" then break end
    n = n + 1
  until n > #lines
  return text
end

add '.TH FLOWLUA 3 "" "FlowLua" ""'
add ".ad l"
add ".SH NAME"
add "flowlua \\- a library that runs, keeps and continues pipelines written in Lua"
add ".SH SYNOPSIS"
add ".nf"
add "#include <flowlua.h>"
add ""
add "cc host.c $(pkg\\-config \\-\\-cflags \\-\\-libs flowlua)"
add ".fi"
add ".SH DESCRIPTION"
for _, text in ipairs(take_comment "//") do add_prose(text) end

while n < #lines do
  n = n + 1
  local line = lines[n]
  local title = line:match "^// %-%-%-+ (.+)$"
  if title then
    if lines[n + 1] and lines[n + 1]:match "^// %l" then
      n = n + 1
      title = title .. lines[n]:sub(3)
    end
    add(".SH " .. title:upper())
  elseif line:match "^///" then
    n = n - 1
    local comment = take_comment "///"
    n = n + 1
    if lines[n] and lines[n]:match "%S" then
      add ".PP"
      add ".nf"
      for _, text in ipairs(take_declaration()) do add(roff(text)) end
      add ".fi"
      add ".RS 4"
      for _, text in ipairs(comment) do add_prose(text) end
      add ".RE"
    end
  elseif line:match "^FL_API" or line:match "^typedef" then
    add ".PP"
    add ".nf"
    for _, text in ipairs(take_declaration()) do add(roff(text)) end
    add ".fi"
  end
end
add ".SH SEE ALSO"
add ".BR flowlua (1)"

local file = assert(io.open(out, "w"))
assert(file:write(table.concat(page, "\n"), "\n"))
file:close()
