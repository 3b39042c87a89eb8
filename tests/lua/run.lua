-- Runs the specs of tests/lua with busted: `flowlua tests/lua/run.lua [busted's options]`.
--
-- Written for the binary under test, so that the specs see the language as it is embedded there.
local here = arg[0]:match "^(.*)/[^/]*$" or "."

local options = { [0] = "busted", "--pattern=_spec%.lua$", "--output=plainTerminal" }
for _, text in ipairs(arg) do options[#options + 1] = text end
options[#options + 1] = here
_G.arg = options

-- busted leaves by os.exit() or by raising nothing at all; either way the totals are out by then.
local exit, code = os.exit, nil
os.exit = function(status)
  code = status == true and 0 or status == false and 1 or status or 0
  error("busted is done", 0)
end
local ok, err = pcall(function() require "busted.runner" { standalone = false } end)
os.exit = exit
if not ok and code == nil then
  if err ~= nil then io.stderr:write(tostring(err), "\n") end
  code = 1
end
io.stdout:flush()
if code and code ~= 0 then os.exit(1) end
