-- Faults: each part breaks something an engine stands on, in many places, and checks what follows.
local here = arg[1]
package.path = here .. "/?.lua;" .. package.path
local place = require "place"
local lanes = require "lanes"

local PARTS = { "disk", "damage", "world" }

local options = { keep = false, parts = PARTS }

local function fail(text)
  io.stderr:write("faults: ", text, "\n")
  os.exit(2)
end

local function read_arguments()
  local at = 2
  local function text()
    at = at + 1
    return arg[at] or fail(arg[at - 1] .. " needs a value")
  end
  while arg[at] do
    local word = arg[at]
    if word == "--points" then
      options.points = tonumber(text()) or fail "--points: expected a number"
    elseif word == "--part" then
      options.parts = { text() }
      if not table.concat(PARTS, " "):find(options.parts[1], 1, true) then
        fail("the parts are " .. table.concat(PARTS, ", "))
      end
    elseif word == "--point" then -- one as it was printed, to look at it again
      options.point = text()
      options.parts = { options.point:match "^%S+" }
    elseif word == "--lanes" then
      place.lanes = tonumber(text()) or fail "--lanes: expected a number"
    elseif word == "--keep" then
      options.keep = true
    elseif word == "--lane" then -- for ourselves
      options.lane, options.folder = tonumber(text()), text()
    else
      fail(("unknown option %s; there are --points N, --part NAME, --point 'TEXT', --lanes N, "
        .. "--keep"):format(word))
    end
    at = at + 1
  end
end

local function run_job(job, number)
  local part = require("fault_" .. job:match "^%S+")
  local wrong, dir = part.run(options.folder, job, number)
  if dir and #wrong == 0 then place.remove(dir) end
  return wrong
end

-- The points of all parts; each part has its share of those that are asked for.
local function list_jobs(folder)
  local jobs = {}
  for _, name in ipairs(options.parts) do
    local list, why = require("fault_" .. name).list(folder)
    if not list then fail(why) end
    local share = options.points and math.ceil(options.points / #options.parts)
    for _, job in ipairs(lanes.spread(list, share)) do jobs[#jobs + 1] = job end
  end
  return options.point and { options.point } or jobs
end

local function tell(lines, job_count)
  local points, wrong, all, bad = {}, {}, 0, 0
  for _, line in ipairs(lines) do
    local kind, part = line:match "^(%S+) (%w+)"
    if kind == "point" then
      points[part] = (points[part] or 0) + 1
      all = all + 1
    else
      wrong[part] = (wrong[part] or 0) + 1
      bad = bad + 1
      print(line)
    end
  end
  for _, part in ipairs(options.parts) do
    print(("%-8s %5d points, %d wrong"):format(part, points[part] or 0, wrong[part] or 0))
  end
  return ("%d points, %d wrong"):format(all, bad), bad == 0 and all == job_count
end

local function run_all()
  local folder = lanes.make_folder "faults"
  local jobs = list_jobs(folder)
  local text, good = tell(lanes.run("faults.lua", "", folder, jobs), #jobs)
  if not good then print("kept: " .. folder) end
  if good and not options.keep then place.remove(folder) end
  print(text)
  os.exit(good and 0 or 1)
end

local why = place.init(here)
if why then fail(why) end
read_arguments()
if options.lane then lanes.work(options.folder, options.lane, run_job) else run_all() end
