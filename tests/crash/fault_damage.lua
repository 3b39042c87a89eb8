-- Files that are not as they were left: a log that is torn, full of rubbish, gone, or another
-- store's; a database with flipped bits, zeros, a page of elsewhere, without its end. What is read
-- from them is right, or a prefix of what happened; or it is refused with a clear word.
local place = require "place"
local recover = require "recover"
local witness = require "witness"
local workloads = require "workloads"
local json = require "dkjson"

local damage = { name = "damage" }

local CASES = 1000
local DB, WAL, SHM = "flowlua.db", "flowlua.db-wal", "flowlua.db-shm"

local function read(dir, name) return place.read(("%s/state/%s"):format(dir, name)) end
local function write(dir, name, text) place.write(("%s/state/%s"):format(dir, name), text) end

local function replace(text, at, with)
  return text:sub(1, at) .. with .. text:sub(at + #with + 1)
end

local function random_bytes(count)
  local bytes = {}
  for i = 1, count do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

-- Flips one bit, anywhere but in what is no data: pages that were never used.
local function flip(text)
  local at = math.random(0, #text - 1)
  local byte = bit.bxor(text:byte(at + 1), bit.lshift(1, math.random(0, 7)))
  return replace(text, at, string.char(byte))
end

local function random_page(text) return math.random(0, math.floor(#text / 4096) - 1) * 4096 end

-- Each changes the text of a file. "log" ones change the log of a run that was killed, "base" ones
-- the database of a run that failed.
local log_damages = {
  cut = function(text) return text:sub(1, math.random(0, #text)) end,
  rubbish = function(text)
    return replace(text, math.random(0, math.max(0, #text - 512)), random_bytes(512))
  end,
  zeros = function(text)
    return replace(text, math.random(0, math.max(0, #text - 4096)), ("\0"):rep(4096))
  end,
  flip = flip,
  more = function(text) return text .. random_bytes(math.random(1, 9000)) end,
  gone = function() return nil end,
}
local base_damages = {
  flip = flip,
  flips = function(text)
    for _ = 1, 3 do text = flip(text) end
    return text
  end,
  zero_page = function(text) return replace(text, random_page(text), ("\0"):rep(4096)) end,
  zeros = function(text)
    return replace(text, math.random(0, #text - 512), ("\0"):rep(512))
  end,
  rubbish = function(text) return replace(text, random_page(text), random_bytes(4096)) end,
  swapped = function(text)
    local from = random_page(text)
    return replace(text, random_page(text), text:sub(from + 1, from + 4096))
  end,
  cut = function(text) return text:sub(1, math.random(1, #text)) end,
  cut_pages = function(text) return text:sub(1, random_page(text)) end,
  empty = function() return "" end,
  magic = function(text) return "SQLite format 2\0" .. text:sub(17) end,
  huge_count = function(text) return replace(text, 28, "\127\255\255\255") end,
  header = function(text) return replace(text, math.random(16, 99), random_bytes(1)) end,
}
local log_names = { "cut", "rubbish", "zeros", "flip", "more", "cut", "rubbish", "gone" }
local base_names = { "flip", "flips", "zero_page", "flip", "zeros", "rubbish", "swapped", "cut",
  "cut_pages", "flips", "empty", "magic", "huge_count", "header", "flip", "flips" }

-- A value as text, keys in order.
local function spell(value)
  if type(value) ~= "table" then return tostring(value) end
  local keys, parts = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(keys) do parts[i] = tostring(key) .. "=" .. spell(value[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- What flowlua itself reads of the last run, without times and tries; nil when it refuses.
local function view(dir)
  local shown, code = place.ask(dir, "show last --json")
  if code ~= 0 then return nil, shown, code end
  local lines, decoded = {}, json.decode(shown)
  if not decoded then return "no JSON: " .. shown end
  for _, node in ipairs(decoded.nodes) do
    lines[#lines + 1] = spell { node.name, node.status, node.outputs or "none",
      node.vars or "none", node.after }
  end
  return table.concat(lines, "\n"), shown, code
end

function damage.list(folder)
  for _, name in ipairs { "chain", "mend" } do
    local text = recover.make_whole(workloads[name], folder, "full")
    if text then return nil, text end
  end
  -- A chain whose engine was killed: all of it is in the log.
  local chain, dir = workloads.chain, place.make(folder .. "/killed.chain")
  if place.flowlua(dir, workloads.get_start(chain, "full"), place.kill_at("fdatasync", 12))
    ~= place.KILLED then
    return nil, "the chain cannot be killed: see " .. dir
  end
  place.find_left(dir)
  -- Here, for the lanes would get in each other's way there.
  place.write(folder .. "/view.mend", (view(folder .. "/whole.mend")))
  local jobs = {}
  for i = 1, CASES do
    local log = i % 5 < 2
    local names = log and log_names or base_names
    jobs[i] = ("damage %s %s %d"):format(log and "log" or "base",
      names[math.floor(i / 5) % #names + 1], i)
  end
  for _, what in ipairs { "no_shm", "shm", "other_log", "old_log" } do
    jobs[#jobs + 1] = ("damage special %s 1"):format(what)
  end
  return jobs
end

-- ------------------------------------------------------------------------------------ judging

local REFUSALS = { "is damaged", "is empty and no store", "is not a database", "is no regular file",
  "another program", "written by a newer", "is missing", "is too short" }

local function is_refusal(text)
  for _, words in ipairs(REFUSALS) do if text:find(words, 1, true) then return true end end
  return false
end

local function check_sound(dir, found)
  local store = witness.read_store(dir, false)
  if store.integrity ~= "ok" then found("integrity_check: " .. store.integrity) end
end

-- A chain continues from whatever prefix of it is left; an empty store knows no run.
local function judge_log(dir, folder, found)
  local said, code = place.ask(dir, "resume --json")
  if code == 3 then
    if not is_refusal(said) then found("refused without a clear word: " .. said) end
    return
  end
  if code == 2 and said:find("there is no run", 1, true) then return check_sound(dir, found) end
  if code ~= 0 then return found(("resume ends with %s: %s"):format(code, said:sub(-300))) end
  check_sound(dir, found)
  witness.check_equal(recover.get_whole(workloads.chain, folder), witness.read_store(dir, false),
    function(_, text) found(text) end)
end

local function judge_base(dir, folder, found)
  local said, code = place.ask(dir, workloads.get_start(workloads.mend, "full"))
  if code == 3 then
    if not is_refusal(said) then found("refused without a clear word: " .. said) end
    return
  end
  if code ~= 0 then return found(("resume ends with %s: %s"):format(code, said:sub(-300))) end
  local got, shown, shown_code = view(dir)
  if got then
    if got ~= place.read(folder .. "/view.mend") then found("used: " .. got) end
  elseif shown_code ~= 3 or not is_refusal(shown) then
    found("show refuses without a clear word: " .. shown)
  end
end

local specials = {
  no_shm = function(dir) os.remove(dir .. "/state/" .. SHM) end,
  shm = function(dir) write(dir, SHM, random_bytes(32768)) end,
  other_log = function(dir, folder)
    local other = place.make(dir .. "/other")
    place.flowlua(other, workloads.get_start(workloads.call, "full"),
      place.kill_at("fdatasync", 20))
    place.find_left(other)
    write(dir, WAL, place.read(other .. "/state/" .. WAL))
    os.remove(dir .. "/state/" .. SHM)
    return folder
  end,
  old_log = function(dir)
    -- The log stays behind when a finished store is put in place of the killed one.
    os.execute(("cp '%s/../whole.chain/state/%s' '%s/state/%s'"):format(dir, DB, dir, DB))
  end,
}

function damage.run(folder, job, number)
  local wrong, dir = {}, folder .. "/point." .. number
  local kind, what, seed = job:match "^damage (%S+) (%S+) (%d+)$"
  local function found(text) wrong[#wrong + 1] = { "wrong", text } end
  math.randomseed(tonumber(seed))
  if kind == "base" then
    place.make(dir, folder .. "/failed.mend")
    write(dir, DB, base_damages[what](read(dir, DB)))
    judge_base(dir, folder, found)
  elseif kind == "log" then
    place.make(dir, folder .. "/killed.chain")
    local text = log_damages[what](read(dir, WAL))
    if text then write(dir, WAL, text) else os.remove(dir .. "/state/" .. WAL) end
    judge_log(dir, folder, found)
  else
    place.make(dir, folder .. "/killed.chain")
    specials[what](dir, folder)
    judge_log(dir, folder, found)
  end
  witness.check_left(dir, function(_, text) found(text) end)
  return wrong, dir
end

return damage
