-- JSON text: encode, decode, null and lists. Types: flow/types/json.lua
return require "flow.core.json"
