-- Continues a run that was broken until it succeeds, and judges what came out.
local place = require "place"
local witness = require "witness"
local workloads = require "workloads"

local recover = {}

local RESUMES_MAX = 3

---@class recover.Broken
---@field dir string
---@field w table the workload
---@field whole table what an uninterrupted run leaves
---@field durability string
---@field crashes integer how many engines have died
---@field tracer? string for the first resume
---@field supervisor_too? boolean whether a supervisor died with one of them
---@field found fun(kind: string, text: string)

-- One resume, with what must hold right before and right after it. Returns its exit code.
local function continue(b, tracer)
  local acks = witness.read_acks(b.dir)
  local broken = witness.read_store(b.dir, true)
  local lines = #witness.read_ledger(b.dir)
  if broken.integrity ~= "ok" then b.found("lost", "integrity_check: " .. broken.integrity) end
  witness.check_told(b.dir, broken, acks, b.found)
  local code = place.flowlua(b.dir, workloads.get_resume(b.w, broken, b.durability), tracer)
  -- A patch may run again what succeeded: what it lets stand is known once it is recorded.
  if not b.w.failed or broken.patched then
    witness.check_kept(b.dir, broken, lines, acks, b.found)
  end
  return code
end

--- Resumes until it succeeds; the first time under the tracer.
---@param b recover.Broken
function recover.run(b)
  local code
  for number = 1, RESUMES_MAX do
    code = continue(b, number == 1 and b.tracer or nil)
    if code == 0 then return end
    b.crashes = b.crashes + 1
    if code ~= place.KILLED and code ~= 3 then break end
  end
  b.found("lost", ("does not succeed: a resume ended with %s"):format(code))
end

--- Compares what is there at the end with an uninterrupted run.
---@param b recover.Broken
function recover.judge(b)
  local final = witness.read_store(b.dir, false)
  -- An engine that went on by itself on a full disk let go of what it ran, as a dead one does.
  local _, rooms = place.read(b.dir .. "/out"):gsub("there is room again", "")
  local crashes = b.crashes + rooms
  witness.check_told(b.dir, final, { checkpoints = {}, steps = {} }, b.found)
  witness.check_equal(b.whole, final, b.found)
  witness.check_attempts(b.whole, final, crashes, b.found)
  witness.check_ledger(b.dir, b.whole, crashes, b.supervisor_too, b.found)
  witness.check_left(b.dir, b.found)
end

local wholes = {}

--- What an uninterrupted run of `w` left in `folder`.
function recover.get_whole(w, folder)
  wholes[w.name] = wholes[w.name] or witness.read_whole(folder .. "/whole." .. w.name)
  return wholes[w.name]
end

--- Runs `w` once without a fault, in `folder`; returns an error.
function recover.make_whole(w, folder, durability)
  local text = workloads.prepare(w, folder, durability)
  if text then return text end
  local dir = workloads.make(w, folder, "whole." .. w.name)
  local code = place.flowlua(dir, workloads.get_start(w, durability))
  if code ~= 0 then return ("%s itself ends with %s; see %s/out"):format(w.name, code, dir) end
end

return recover
