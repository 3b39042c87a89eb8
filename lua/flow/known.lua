-- What counts as a flow, a node, a null: the marks by which modules recognise each other's tables
-- without knowing how they are made.
local known = {}

--- flow object -> its state (see flow.dag)
known.flows = setmetatable({}, { __mode = "k" })

--- metatable of a node's table -> { type = its node type, named = whether it has a name already }
known.node_marks = setmetatable({}, { __mode = "k" })

--- The node type of a node's table, or nil when `value` is no node.
function known.node_type(value)
  if type(value) ~= "table" then return nil end
  local mark = known.node_marks[getmetatable(value)]
  return mark and mark.type
end

function known.is_flow(value) return type(value) == "table" and known.flows[value] ~= nil end

return known
