-- By which rules a script is read. A run keeps its script, and goes on with it as it began: what is
-- refused or means something else since is told only, or left as it was, for a script of before.
--
-- Raised together with FL_LANGUAGE (runtime/store/store.h).
--   0  A value within quotes of a shell's text is run as it comes out, texts run without `sh -e`,
--      and a node that is heavier than its pool runs alone.
--   1  A name of a flow, of ctx, its params or its inputs that is not there reads as nil, as does a
--      parent that gave nothing; a node that returns nil and a text has succeeded; names in
--      templates, params of calls and pools are looked at when they are used.
local language = {}

--- Of scripts that are loaded from their files now.
language.current = 2

return language
