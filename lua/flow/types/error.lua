---@meta
error "meta file: not to be required"

--- What went wrong, in one word: the `code` of the errors that functions of these modules return.
---@alias flow.ErrorCode
---| "usage" # an argument or a text is wrong
---| "script" # the user's script is wrong
---| "not_found" # no such file, run, node or flow
---| "state" # not possible in the state it is in
---| "busy" # somebody else holds it
---| "limit" # a named limit was passed
---| "store" # the database refused
---| "full" # no space left
---| "corrupt" # damaged
---| "newer" # of a newer version
---| "unknown" # a commit's outcome is unknown
---| "fenced" # another engine took the run over
---| "system" # the operating system refused
---| "spawn" # a process could not be started

--- What a failing call returns after nil. `tostring(err)` is the message.
---@class flow.Error
---@field code flow.ErrorCode
---@field message string One sentence: what, on what, why.
---@field errno? string The system's name of it ("ENOENT"), where there is one.
