-- What a shell offers at Tab: what is there, by `flowlua --complete`, in three shells.
local support = require "tests.feature.support"

local box
before_each(function()
  box = support.box()
  box:write("my flow.lua", [[
    local flow = require "flow"
    local sub = flow.dag "inner"
    sub.load = flow.shell { "true" }
    local f = flow.dag "main"
    f.fetch = flow.shell { "true" }
    f.report = flow.shell { after = "fetch", "true" }
    f.part = flow.call { after = "fetch", flow = sub }
    return { f, sub }
  ]])
  box:write("notes.txt", "")
  box:sh "mkdir folder"
end)
after_each(function() box:close() end)

local function run()
  local done = box:sh(support.binary .. " 'my flow.lua' --flow main --quiet")
  assert.equal(0, done.code, done.err)
end

-- The words, without what they stand for; of "f" and "d" the line.
local function offered(words)
  local done = box:sh(support.binary .. " --complete -- " .. words)
  assert.equal(0, done.code)
  assert.equal("", done.err)
  local list = {}
  for _, line in ipairs(support.lines(done.out)) do
    list[#list + 1] = line:match "^w\t([^\t]*)\t" or line
  end
  return table.concat(list, " ")
end

describe("a Tab offers", function()
  for words, expected in pairs {
    ["che"] = "f\t.lua check",
    ["graph l"] = "f\t.lua last last-failed",
    ["check ''"] = "f\t.lua",
    ["init ''"] = "d",
    ["completion z"] = "zsh",
    ["help comp"] = "completion",
    ["run --dur"] = "--durability",
    ["run --durability g"] = "group",
    ["run --durability=f"] = "--durability=full",
    ["'my flow.lua' --flow ''"] = "main inner",
    ["'my flow.lua' --flow main --only ''"] = "fetch report part",
    ["'my flow.lua' --flow main --only=fetch,re"] = "--only=fetch,report",
    ["--state ''"] = "d",
    ["run --params ''"] = "f\t",
    ["resume --script ''"] = "f\t.lua",
    ["breakpoint e"] = "export",
    ["breakpoint export last ''"] = "f\t",
    ["runs --status fail"] = "failed",
    ["logs ''"] = "last last-failed", -- without a state directory
    ["prune ''"] = "",
    ["nonsense ''"] = "",
    ["run broken.lua --only ''"] = "",
  } do
    it(("%s: %s"):format(words, expected), function() assert.equal(expected, offered(words)) end)
  end

  it("runs by the letters of their ids, and the nodes of a run and of its calls", function()
    run()
    local ids = {}
    for id in box:sh(support.binary .. " runs --json").out:gmatch '"id":"([^"]+)"' do
      ids[#ids + 1] = id
    end
    local letters = { ids[1]:sub(-8), ids[2]:sub(-8) }
    assert.equal("last last-failed " .. table.concat(letters, " "), offered "show ''")
    assert.equal(table.concat(ids, " "), offered("show " .. ids[1]:sub(1, 4)))
    assert.equal("fetch report part", offered "logs last ''")
    assert.equal("part/load", offered "logs last part/")
    assert.equal("report", offered "why re")
    assert.equal("report", offered "resume --rerun re")
    assert.equal("fetch=", offered "resume --checkpoint f")
    assert.equal("part.", offered "resume last --option p")
    assert.equal("inner main", offered "runs --flow ''")
    assert.equal("", offered "logs nosuchrun ''")
  end)
end)

local function has(shell) return os.execute("command -v " .. shell .. " >/dev/null") == 0 end

describe("it works in", function()
  -- The words as bash takes them apart, and what it gets.
  local function in_bash(words)
    box:write("ask.bash", ([[
      PATH=%s:$PATH
      source <(flowlua completion bash)
      compopt() { :; }
      COMP_WORDS=(flowlua %s)
      COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
      _flowlua
      printf '%%s\n' "${COMPREPLY[@]}"
    ]]):format(support.binary:match "^(.*)/", words))
    return table.concat(support.lines(box:sh("bash ask.bash").out), " ")
  end

  it("bash, with names with blanks, and values behind =", function()
    run()
    assert.equal("my flow.lua", in_bash "check m")
    assert.equal("folder", in_bash "init f")
    assert.equal("full", in_bash "run --durability = f")
    assert.equal("notes.txt", in_bash "run --params = no")
    assert.equal("report", in_bash "logs last re")
    assert.equal("fetch report part", in_bash "logs last ''")
  end)

  it("fish", function()
    if not has "fish" then return pending "fish is not installed" end
    run()
    local function in_fish(line)
      return box:sh(([[HOME=$PWD PATH=%s:$PATH fish --no-config -c '
        flowlua completion fish | source
        complete -C "%s"']]):format(support.binary:match "^(.*)/", line)).out
    end
    assert.equal("report\tsucceeded\n", in_fish "flowlua logs last re")
    assert.equal("my flow.lua\n", in_fish "flowlua check m")
    assert.equal("--durability=full\n", in_fish "flowlua run --durability=f")
  end)

  it("zsh", function()
    if not has "zsh" then return pending "zsh is not installed" end
    run()
    box:write("ask.zsh", ([[
      zmodload zsh/zpty
      path=(%s $path)
      zpty p zsh -f -i
      zpty -w p "mkdir own; flowlua completion zsh >own/_flowlua; fpath=(\$PWD/own \$fpath)"
      zpty -w p "autoload -Uz compinit; compinit -u -D; PS1='> '; print R''EADY"
      zpty -r p out '*READY*'
      zpty -w -n p $'\Cu'"flowlua logs last re"$'\t'
      zpty -r p out '*logs last report*' && print node
      zpty -w -n p $'\Cu'"flowlua check m"$'\t'
      zpty -r p out '*check my\\ flow.lua*' && print file
      zpty -w -n p $'\Cu'"flowlua run --durability=f"$'\t'
      zpty -r p out '*--durability=full*' && print value
      zpty -d p
    ]]):format(support.binary:match "^(.*)/"))
    local done = box:sh "TERM=dumb timeout 30 zsh -f ask.zsh"
    assert.equal("node\nfile\nvalue\n", done.out, done.err)
  end)
end)
