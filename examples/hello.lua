-- The smallest flow: one node, a Lua function on the engine's own loop.
--   flowlua examples/hello.lua
--   flowlua examples/hello.lua --param name=FlowLua && flowlua logs last
local flow = require "flow"

local hello = flow.dag("hello", { params = { name = "world" } })

hello.greet = flow.lua { inline = true, run = function(ctx)
  local greeting = "hello, " .. ctx.params.name
  ctx:log(greeting) -- `flowlua logs last` shows it
  return { greeting = greeting } -- `flowlua show last` has it among the outputs
end }

return hello
