---@meta
error "meta file: not to be required"

--- What a failing call returns after nil. `tostring(err)` is the message.
---@class flow.Error
---@field code "usage"|"script"|"not_found"|"state"|"busy"|"limit"|"store"|"full"|"corrupt"|"newer"|"unknown"|"fenced"|"system"|"spawn"
---@field message string One sentence: what, on what, why.
---@field errno? string The system's name of it ("ENOENT"), where there is one.
