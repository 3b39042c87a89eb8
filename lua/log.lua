-- Lines to stderr with time and level. Types: flow/types/log.lua
return require "flow.core.log"
