-- Runs the lines of a list of jobs in several processes of ourselves, and gathers what they found.
local place = require "place"

local lanes = {}

--- Writes the jobs and runs them; `words` are ours, for the lanes. Returns the lines they wrote.
function lanes.run(script, words, folder, jobs)
  place.write(folder .. "/jobs", table.concat(jobs, "\n") .. "\n")
  local command = {}
  for lane = 1, place.lanes do
    command[lane] = ("FLOWLUA_BIN='%s' luajit '%s/%s' '%s' %s --lanes %d --lane %d '%s' &"):format(
      place.binary, place.here, script, place.here, words, place.lanes, lane, folder)
  end
  os.execute(table.concat(command, "\n") .. "\nwait")
  local lines = {}
  for lane = 1, place.lanes do
    for line in place.read(("%s/lane.%d"):format(folder, lane)):gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
  end
  return lines
end

--- As a lane: `run(job, number)` returns a list of { kind, text } of what is wrong. Writes one line
--- for each, "KIND JOB: TEXT", and "point JOB".
function lanes.work(folder, lane, run)
  local results = assert(io.open(("%s/lane.%d"):format(folder, lane), "w"))
  local number = 0
  for job in io.lines(folder .. "/jobs") do
    number = number + 1
    if number % place.lanes == lane % place.lanes then
      for _, entry in ipairs(run(job, number)) do
        results:write(("%s %s: %s\n"):format(entry[1], job, (entry[2]:gsub("\n", " "))))
      end
      results:write("point ", job, "\n")
      results:flush()
    end
  end
  results:close()
end

--- A new folder for all of a test, beside the binary.
function lanes.make_folder(name)
  return place.lines_of(("mktemp -d '%s/%s.XXXXXX'"):format(place.binary:match "^(.*)/", name))[1]
end

--- `count` of `list`, evenly spread; all of it when there are no more.
function lanes.spread(list, count)
  if not count or count >= #list then return list end
  local chosen = {}
  for i = 0, count - 1 do chosen[i + 1] = list[math.floor(i * #list / count) + 1] end
  return chosen
end

return lanes
