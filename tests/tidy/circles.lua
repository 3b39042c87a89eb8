-- Checks that the files of a folder of runtime/ stand above each other: who calls a function of
-- another file is not called from there, on whatever way.
local tidy = require "tests.support.tidy"

-- Circles that are still there, each by all its files. None may get another file; one that is cut
-- goes from here.
local allowed = {
  executor = { "worker.c worker_end.c worker_give.c worker_link.c worker_serve.c worker_start.c "
    .. "worker_watch.c" },
  io = {
    "supervise.c supervise_attach.c",
    "supervisor_child.c supervisor_exit.c supervisor_kill.c supervisor_link.c supervisor_main.c "
      .. "supervisor_output.c supervisor_progress.c supervisor_queue.c supervisor_reap.c "
      .. "supervisor_request.c supervisor_timer.c",
  },
  store = {
    "change.c check.c db.c lease.c open.c prune.c prune_file.c prune_plan.c prune_sweep.c run.c "
      .. "transaction.c",
    "image.c migrate.c",
  },
}

-- The functions that a file defines for others, and all its code that may call some. Of a header
-- that is what is inline in it.
local function definitions_of(path, text)
  local names, code = {}, {}
  local header = path:find "%.h$" ~= nil
  local definition = "\n(%a[^;{}#]-)%f[%w_](fl_[%w_]+)%s*%b()%s*(){"
  for before, name, at in ("\n" .. text):gmatch(definition) do
    local is_static = before:find "%f[%w]static%f[%W]" ~= nil
    if header == is_static then names[#names + 1] = name end
    if header then code[#code + 1] = text:match("^%b{}", at - 1) end
  end
  return names, header and table.concat(code, "\n") or text
end

-- Files of a folder: name -> { calls = { file = { function, ... } } }.
local function read_folder(folder)
  local files, home = {}, {}
  for _, path in ipairs(tidy.files("^runtime/" .. folder .. "/.*%.[ch]$")) do
    local file = { path = path, name = path:sub(#"runtime/" + #folder + 2), calls = {} }
    local names
    names, file.code = definitions_of(path, tidy.bare_c(tidy.read(path)))
    for _, name in ipairs(names) do home[name] = file.name end
    files[#files + 1] = file
    files[file.name] = file
  end
  for _, file in ipairs(files) do
    local seen = {}
    for name in file.code:gmatch "%f[%w_]fl_[%w_]+" do
      local to = home[name]
      if to and to ~= file.name and not seen[name] then
        seen[name] = true
        file.calls[to] = file.calls[to] or {}
        table.insert(file.calls[to], name)
      end
    end
  end
  return files
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- The shortest way of calls from a file to another one, or back to itself: a list of names; nil:
-- there is none.
local function way_of(files, start, goal)
  local from, queue, at = {}, { start }, 1
  while queue[at] do
    local name = queue[at]
    at = at + 1
    for _, to in ipairs(sorted_keys(files[name].calls)) do
      if to == goal then
        local way = { goal }
        while name do
          table.insert(way, 1, name)
          name = from[name]
        end
        return way
      elseif to ~= start and not from[to] then
        from[to] = name
        queue[#queue + 1] = to
      end
    end
  end
end

-- A circle through both files, which may be the same one.
local function circle_of(files, one, other)
  local way = way_of(files, one, other)
  local back = one ~= other and way_of(files, other, one) or {}
  for i = 2, #back do way[#way + 1] = back[i] end
  return way
end

-- "a.c calls fl_x in b.c, which calls fl_y in a.c"
local function tell(files, way)
  local text = way[1]
  for i = 2, #way do
    local names = files[way[i - 1]].calls[way[i]]
    table.sort(names)
    local more = #names > 2 and (", ... (%d)"):format(#names) or ""
    text = ("%s%s %s%s in %s"):format(text, i == 2 and " calls" or ", which calls",
      table.concat(names, ", ", 1, math.min(#names, 2)), more, way[i])
  end
  return text
end

-- All that is reached from a file by calls.
local function reached_from(files, start)
  local seen, list = {}, { start }
  while #list > 0 do
    for to in pairs(files[table.remove(list)].calls) do
      if not seen[to] then
        seen[to] = true
        list[#list + 1] = to
      end
    end
  end
  return seen
end

local function check(folder)
  local files, reached, known = read_folder(folder), {}, {}
  for _, file in ipairs(files) do reached[file.name] = reached_from(files, file.name) end
  for i, list in ipairs(allowed[folder] or {}) do
    for name in list:gmatch "%S+" do known[name] = i end
  end
  for _, name in ipairs(sorted_keys(known)) do
    if not files[name] or not reached[name][name] then
      tidy.found("tests/tidy/circles.lua", 1, "%s/%s stands in no circle any more: take it off",
        folder, name)
    end
  end
  -- Of all new ones that hang together the shortest is told.
  local told = {}
  for _, file in ipairs(files) do
    local best
    for _, one in ipairs(sorted_keys(reached[file.name])) do
      for _, other in ipairs(reached[one][file.name] and sorted_keys(reached[one]) or {}) do
        local is_new = not known[one] and one == other or known[one] ~= known[other]
        local way = is_new and reached[other][one] and circle_of(files, one, other)
        if way and (not best or #way < #best) then best = way end
      end
    end
    local text = best and tell(files, best)
    if text and not told[text] then
      told[text] = true
      tidy.found(files[best[1]].path, 1, "a circle: %s", text)
    end
  end
  return #files
end

local folders, count = {}, 0
for _, path in ipairs(tidy.files "^runtime/.*%.c$") do
  folders[path:match "^runtime/([%w_]+)/"] = true
end
for _, folder in ipairs(sorted_keys(folders)) do count = count + check(folder) end
tidy.done(count .. " files")
