-- Checks for words that must not stand in the tree: unfinished work, machine paths, sleeps.
local tidy = require "tests.support.tidy"

-- Each row: a Lua pattern, where it counts (patterns of paths), what to say. The patterns are
-- written so that this file does not find itself.
local rows = {
  { "%f[%w]TO[D]O%f[%W]", { "." }, "unfinished: do it or leave it" },
  { "%f[%w]FIX[M]E%f[%W]", { "." }, "unfinished: do it or leave it" },
  { "%f[%w]XX[X]%f[%W]", { "%.[ch]$", "%.lua$", "%.md$" }, "unfinished: do it or leave it" },
  { "/wor[k]/", { "." }, "a path of one machine" },
  { "/hom[e]/%l", { "." }, "a path of one machine" },
  { "/roo[t]/", { "." }, "a path of one machine" },
  { "%f[%w]u?n?a?n?o?sleep%s*%(",
    { "^tests/unit/", "^runtime/graph/", "^runtime/plan/", "^runtime/engine/" },
    "units own their clock: no sleeping" },
  { "%f[%w]gettimeofday%s*%(", { "^runtime/" }, "time comes from base/clock.h" },
  { "%f[%w]CONTRAC[T] %d", { "." }, "a document that is not in this tree" },
  { "%f[%w]DESIG[N] %d", { "." }, "a document that is not in this tree" },
  { "%s+$", { "%.[ch]$", "%.lua$", "%.md$", "^tests/run$", "%.sh$" },
    "space at the end of the line" },
  { "\t", { "%.[ch]$", "%.lua$", "^tests/run$" }, "a tab" },
}

local files = tidy.files("%.[ch]$", "%.lua$", "%.md$", "%.sh$", "%.txt$",
  "^tests/run$", "^%.ci/run$")
for _, path in ipairs(files) do
  local relevant = {}
  for _, row in ipairs(rows) do
    for _, where in ipairs(row[2]) do
      if path:find(where) then
        relevant[#relevant + 1] = row
        break
      end
    end
  end
  local n = 0
  for line in io.lines(path) do
    n = n + 1
    for _, row in ipairs(relevant) do
      local from, to = line:find(row[1])
      if from then tidy.found(path, n, "%s: \"%s\"", row[3], line:sub(from, to)) end
    end
  end
end
tidy.done(#files .. " files")
