-- Writes one and the same graph as a flow, a ninja file and a makefile.
local graphs = {}

local function write(path, pieces)
  local file = assert(io.open(path, "wb"))
  for _, piece in ipairs(pieces) do assert(file:write(piece, "\n")) end
  assert(file:close())
end

--- The nodes of each shape, with the numbers of those that each depends on.
local shapes = {}

function shapes.independent(count)
  local nodes = {}
  for i = 1, count do nodes[i] = {} end
  return nodes
end

function shapes.chain(count)
  local nodes = {}
  for i = 1, count do nodes[i] = i > 1 and { i - 1 } or {} end
  return nodes
end

-- 100 wide; each node depends on two of the layer before.
function shapes.layers(count)
  local nodes, width = {}, 100
  for i = 0, count - 1 do
    local layer, place = math.floor(i / width), i % width
    local before = (layer - 1) * width
    nodes[i + 1] = layer > 0
      and { before + place + 1, before + (place + 1) % width + 1 } or {}
  end
  return nodes
end

local function names(parents)
  local list = {}
  for i, parent in ipairs(parents) do list[i] = "n" .. parent end
  return table.concat(list, " ")
end

function graphs.write_ninja(path, shape, count, command)
  local out, all = { "rule run", "  command = " .. command }, {}
  for i, parents in ipairs(shapes[shape](count)) do
    out[#out + 1] = ("build n%d: run %s"):format(i, names(parents))
    all[i] = "n" .. i
  end
  out[#out + 1] = "build all: phony " .. table.concat(all, " ")
  out[#out + 1] = "default all"
  write(path, out)
end

function graphs.write_make(path, shape, count, command)
  local out, all = {}, {}
  for i in ipairs(shapes[shape](count)) do all[i] = "n" .. i end
  all = table.concat(all, " ")
  out[1] = "all: " .. all
  out[2] = ".PHONY: all " .. all
  for i, parents in ipairs(shapes[shape](count)) do
    out[#out + 1] = ("n%d: %s\n\t@%s"):format(i, names(parents), command)
  end
  write(path, out)
end

--- Input of `xargs -n1`: a line a job.
function graphs.write_lines(path, count)
  local out = {}
  for i = 1, count do out[i] = tostring(i) end
  write(path, out)
end

-- How each shape is said in a script, for node `i`.
local after = {
  independent = "",
  chain = "after = i > 1 and 'n' .. i - 1 or nil, ",
  layers = "after = i > 100 and two_before(i) or nil, ",
}

--- A flow of `count` nodes; `node` is the text of one, with %s where its `after` goes.
function graphs.write_flow(path, shape, count, node)
  write(path, {
    "local flow = require 'flow'",
    "local bench = flow.dag('bench')",
    "local function two_before(i)",
    "  local place = (i - 1) % 100",
    "  local before = i - 1 - place - 100",
    "  return { 'n' .. before + place + 1, 'n' .. before + (place + 1) % 100 + 1 }",
    "end",
    "local function run() return nil end",
    ("for i = 1, %d do bench['n' .. i] = %s end"):format(count, node:format(after[shape])),
    "return bench",
  })
end

return graphs
