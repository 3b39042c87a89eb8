-- Every death of children_story.lua with 200 children of 0 to 10 s, and what came of each.
local story = require "tests.crash.children_story"
local support = require "tests.feature.support"

local rows = {
  { "engine, resumed at once", kill = "engine", after_s = 0 },
  { "engine, resumed after 5 s", kill = "engine", after_s = 5 },
  { "engine, resumed after 20 s", kill = "engine", after_s = 20 },
  { "engine, and who resumes it", kill = "twice" },
  { "engine, then its supervisor", kill = "adopted" },
  { "supervisor", kill = "supervisor" },
  { "both, resumed at once", kill = "both", after_s = 0 },
  { "both, resumed after 5 s", kill = "both", after_s = 5 },
  { "reboot", kill = "reboot" },
  { "engine frozen, taken over", kill = "frozen", after_s = 5 },
  { "short ones", short = true },
}

local options = { count = 200, longest = 10, short = 10000, wait = 60 }
for i = 1, #arg do
  local name = arg[i]:match "^%-%-(%w+)$"
  if name == "keep" then
    options.keep = true
  elseif name then
    options[name] = tonumber(arg[i + 1]) or arg[i + 1]
  end
end

local failed = 0

local function tell(box, row, text, wrongs)
  print(("%-28s %s, %d wrong"):format(row[1], text, #wrongs))
  for i = 1, math.min(#wrongs, 20) do print("  " .. wrongs[i]) end
  failed = failed + #wrongs
  if options.keep then print("  " .. box.path) else box:close() end
end

for _, row in ipairs(rows) do
  local wanted = not options.only or row[1]:find(options.only, 1, true)
  local box = wanted and (row.after_s or 0) <= options.wait and support.box()
  if box and row.kill == "reboot" and not story.can_reboot() then
    tell(box, row, "skipped: another boot id cannot be mounted here", {})
  elseif box and row.short then
    local wrongs, facts = story.play_short(box, options.short)
    tell(box, row, ("%d, at most %d zombies at a look, %.1f s")
      :format(options.short, facts.zombies, facts.seconds), wrongs)
  elseif box then
    row.count, row.longest_ms = options.count, options.longest * 1000
    local wrongs, facts = story.play(box, row)
    tell(box, row, ("%d children, %d running at the resume, %d lost, %.1f s to the end")
      :format(row.count, facts.running, facts.lost, facts.seconds), wrongs)
  end
end
print(failed .. " wrong")
os.exit(failed == 0 and 0 or 1)
