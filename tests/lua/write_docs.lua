-- Brings docs/reference.md and lua/flow/types/options.lua up to date with the schema: run it from
-- anywhere as `flowlua tests/lua/write_docs.lua`.
local fs = require "fs"
local reference = require "support.reference"

local root = (arg[0]:match "^(.*)/[^/]*$" or ".") .. "/../.."

local page = root .. "/docs/reference.md"
assert(fs.write(page, reference.fill(reference.read(page), reference.parts(root))))
assert(fs.write(root .. "/lua/flow/types/options.lua", reference.types_text()))
