-- What luacheck holds the Lua files to.
std = "luajit"
max_line_length = 100
files["tests/lua"] = { std = "luajit+busted" }
files["lua/flow/types"] = { ignore = { "211", "212", "241", "631" } }
-- print(), pairs(), io.write() and os.exit() of scripts are ours, and `arg` is set for them.
files["lua/flow/files.lua"] = { globals = { "io", "os" } }
files["lua/flow/environment.lua"] = { globals = { "_G", "io", "os", "coroutine" } }
-- Specs put things of their own in the place of these, and put them back.
files["tests/lua/loader_spec.lua"] = { globals = { "io", "os" } }
files["tests/lua/run.lua"] = { globals = { "os" } }
