-- The pages for beginners are true: their scripts and commands, run in order, print what they say.
local support = require "tests.feature.support"

-- What differs from run to run. Columns of tables are as wide as their longest text.
local function normalise(line)
  line = line:gsub("%d%d%d%d%d%d%d%dT%d%d%d%d%d%d%-%x+", "RUN")
  line = line:gsub("%d%d%d%d%-%d%d%-%d%d[T ]%d%d:%d%d:%d%d[.%d]*Z?", "DATE")
  line = line:gsub("%f[%w][%d-]*%d%d%-%d%d %d%d:%d%d%f[^%d]", "DATE")
  line = line:gsub("^%x%x%x%x%x%x%x%x  ", "RUN  ")
  line = line:gsub("^%d%d:%d%d:%d%d ", "TIME ")
  line = line:gsub("sha256:%x+", "DIGEST"):gsub(" by %S+@[^%s:]+", " by WHO")
  line = line:gsub("checkpoint %d+$", "checkpoint N")
  line = line:gsub("%f[%w.]%d+%.?%d*m?s%f[%W]", "SPAN")
  line = line:gsub("counts from\t%d+", "counts from\tN")
  return (line:gsub("%s+", " "):gsub(" $", ""))
end

-- The fenced blocks of the page in order: { kind, text, line } each.
local function blocks_of(path)
  local blocks, block, number = {}, nil, 0
  for line in io.lines(path) do
    number = number + 1
    local fence = line:match "^```(.*)$"
    if fence and block then
      blocks[#blocks + 1], block = block, nil
    elseif fence then
      block = { kind = fence, lines = {}, line = number }
    elseif block then
      block.lines[#block.lines + 1] = line
    end
  end
  return blocks
end

-- The commands of a console block: { text, line, expected lines } each.
local function commands_of(block)
  local commands = {}
  for i, line in ipairs(block.lines) do
    local text = line:match "^%$ (.*)$"
    if text then
      commands[#commands + 1] = { text = text, line = block.line + i, expected = {} }
    else
      local expected = commands[#commands].expected
      expected[#expected + 1] = normalise(line)
    end
  end
  return commands
end

-- Whether lines from `at` on are those from `want_at` on, "..." being any number of them.
local function matches(expected, want_at, lines, at)
  local want = expected[want_at]
  if not want then return at > #lines end
  if want ~= "..." then
    return lines[at] == want and matches(expected, want_at + 1, lines, at + 1)
  end
  for from = at, #lines + 1 do
    if matches(expected, want_at + 1, lines, from) then return true end
  end
  return false
end

local function without(lines, unwanted)
  local rest = {}
  for _, line in ipairs(lines) do
    if not line:find(unwanted, 1, true) then rest[#rest + 1] = line end
  end
  return rest
end

local function check_command(box, page, command)
  local code = 0
  local expected = command.expected
  local told = #expected > 0 and expected[#expected]:match "^%[exit (%d+)%]$"
  if told then
    code = tonumber(told)
    table.remove(expected)
  end
  local done = box:sh(command.text .. " 2>&1")
  local lines = support.lines(done.out)
  for i, line in ipairs(lines) do lines[i] = normalise(line) end
  -- What a shell says of a job that was killed, and whether it does, is its own business.
  local killed = command.text:find "kill"
  if killed then expected, lines = without(expected, "Killed"), without(lines, "Killed") end
  local where = ("%s:%d: $ %s"):format(page, command.line, command.text)
  if not matches(expected, 1, lines, 1) then
    error(("%s\nexpected:\n%s\ngot:\n%s"):format(where, table.concat(expected, "\n"),
      table.concat(lines, "\n")), 0)
  end
  if not killed then assert.equal(code, done.code, where) end
end

-- Writes the scripts of a page and runs its commands, in order; returns how many these were. A page
-- may go on with the scripts of another.
local function check_page(box, page, before)
  local count = 0
  for _, block in ipairs(before and blocks_of(support.root .. "/" .. before) or {}) do
    local name = block.kind == "lua" and block.lines[1]:match "^%-%- (%w+%.lua)$"
    if name then box:write(name, table.concat(block.lines, "\n") .. "\n") end
  end
  box.env.PATH = support.binary:match "^(.*)/" .. ":" .. box.env.PATH
  for _, block in ipairs(blocks_of(support.root .. "/" .. page)) do
    if block.kind == "lua" then
      local name = assert(block.lines[1]:match "^%-%- (%w+%.lua)$", "a script without a name")
      box:write(name, table.concat(block.lines, "\n") .. "\n")
    elseif block.kind == "console" then
      for _, command in ipairs(commands_of(block)) do
        check_command(box, page, command)
        count = count + 1
      end
    end
  end
  return count
end

describe("what is said and printed", function()
  local box
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("in the guide is what its scripts and commands really print", function()
    assert.is_true(check_page(box, "docs/guide.md") > 8)
  end)

  it("on the page about what broke, too", function()
    assert.is_true(check_page(box, "docs/when-it-breaks.md", "docs/guide.md") > 15)
  end)

  it("on the page of the second hour, too", function()
    assert.is_true(check_page(box, "docs/second-hour.md") > 8)
  end)

  it("in the README, too", function()
    assert.equal(0, box:sh("cp -r '" .. support.root .. "/examples' .").code)
    assert.is_true(check_page(box, "README.md") > 5)
  end)
end)
