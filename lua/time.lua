-- Instants and durations. Types: flow/types/time.lua
return require "flow.core.time"
