-- Writes the rows of lua/flow/patch_keys.lua as C: `luajit patch_keys.lua patch_keys.h ROOT`.
--
-- FL_PATCH_KEYS(X): X(kind, name, flag, value, doc, changes, wakes); the kind is how fl_patch holds
-- it: TEXTS, NAMES (texts that are names of nodes), TEXT or FLAG.
local out, root = arg[1], arg[2]
local rows = dofile(root .. "/lua/flow/patch_keys.lua")
local kinds = { names = "NAMES", text = "TEXT", flag = "FLAG" }

local lines = {}
for i, row in ipairs(rows) do
  local value = row.value and ("%q"):format(row.value) or "NULL"
  lines[i] = ("  X(%s, %s, %q, %s, %q, %s, %s)"):format(kinds[row.shape] or "TEXTS", row.name,
    row.flag, value, row.doc, row.changes or false, row.wakes or false)
end
local file = assert(io.open(out, "w"))
file:write("// Made from lua/flow/patch_keys.lua.\n#pragma once\n\n#define FL_PATCH_KEYS(X) \\\n",
  table.concat(lines, " \\\n"), "\n")
file:close()
