-- A child process run to its end, and what this process is. Types: flow/types/process.lua
return require "flow.core.process"
