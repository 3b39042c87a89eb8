-- The file operations that a pipeline needs. Types: flow/types/fs.lua
return require("flow.files").wrap(require "flow.core.fs")
