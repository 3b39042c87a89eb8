-- Replays a recorded workflow: a node for each of its nodes, which sleeps for as long as that took,
-- scaled down. The file, as JSON: {"nodes": [{"id", "deps": [id], "runtime_s", "priority"}]}.
--   flowlua examples/replay_dag.lua                      a small one of ours
--   REPLAY_DAG=montage.json flowlua examples/replay_dag.lua --param scale=0.01 --jobs 8
--   flowlua examples/replay_dag.lua -- montage.json      the same, but no resume finds the file
local flow, fs, json = require "flow", require "fs", require "json"

-- The graph is needed while the script is loaded, when no params are known yet: so an argument or
-- the environment names the file; a resume finds it in the environment only.
local path = arg[1] or os.getenv "REPLAY_DAG"
  or fs.join(fs.dirname(arg[0]), "replay_dag", "diamond.json")
local recorded = assert(json.decode(assert(fs.read(path))))

local replay = flow.dag("replay_dag", {
  params = { scale = { "number", default = 0.001, min = 0, doc = "our seconds for theirs" } },
  doc = recorded.name,
})

-- Their ids may be any text: what cannot stand in a name becomes _, and names that were made equal
-- get a number.
local name_of, taken = {}, {}
for _, node in ipairs(recorded.nodes) do
  local base = node.id:gsub("[^%w_.-]", "_"):gsub("^[^%a_]", "_%0"):sub(1, 100)
  local name, number = base, 1
  while taken[name] do
    number = number + 1
    name = base .. "_" .. number
  end
  taken[name], name_of[node.id] = true, name
end

for _, node in ipairs(recorded.nodes) do
  local after = {}
  for i, id in ipairs(node.deps or {}) do
    after[i] = assert(name_of[id],
      ("%s: node %s depends on %s, which is not there"):format(path, node.id, id))
  end
  replay[name_of[node.id]] = flow.exec {
    "sleep", ("{{ params.scale * %.6f }}"):format(node.runtime_s or 0),
    after = after, priority = node.priority or 0, doc = node.id,
  }
end

return replay
