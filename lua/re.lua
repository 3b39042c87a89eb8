-- PCRE2 patterns with limits, in the shape of Lua's string library. Types: flow/types/re.lua
return require "flow.core.re"
