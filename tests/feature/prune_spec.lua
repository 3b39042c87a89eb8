-- prune: what goes, what stays, and what is said of it.
local support = require "tests.feature.support"

local box

local good = 'local flow = require "flow"\nlocal f = flow.dag "good"\nf.a = flow.shell "echo hi"\n'
  .. 'f.b = flow.lua { after = "a", run = function() return { n = 1 } end }\nreturn f\n'
local bad = 'local flow = require "flow"\nlocal f = flow.dag "bad"\nf.a = flow.shell "exit 3"\n'
  .. "return f\n"

local function run(text) return box:script(text) end

-- The names of the files in a folder of the state directory, in order, one a line.
local function files(folder)
  return box:sh(("cd '%s/%s' && ls"):format(box.state, folder)).out
end

local function age(days)
  local done = box:sh(("sqlite3 '%s/flowlua.db' 'UPDATE run SET ended_ms=ended_ms-%d'")
    :format(box.state, days * 86400000))
  assert.equal(0, done.code, done.err)
end

describe("prune", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("shows what it removes, with flow, status and age", function()
    for _, text in ipairs { good, good, bad } do run(text) end
    age(40)
    local would = box:run { "prune", "--keep", "30d", "--dry-run" }
    assert.equal(0, would.code, would.err)
    assert.matches("run +flow +status +age\n%S+ +good +succeeded +40d[%w]*\nwould remove 1 run, ",
      would.out)
    assert.equal("3", box:sql_value "SELECT count(*) FROM run")
    local done = box:run { "prune", "--keep", "30d", "--all" }
    assert.equal(0, done.code, done.err)
    assert.matches("good +succeeded +40d.*bad +failed +40d.*\nremoved 3 runs, ", done.out)
    assert.equal("0", box:sql_value "SELECT count(*) FROM run")
    assert.equal("removed 0 runs, 0 B\n", box:run({ "prune", "--keep", "0s" }).out)
  end)

  it("keeps the newest of each flow by their number", function()
    for _ = 1, 4 do run(good) end
    local done = support.decode(box:run({ "prune", "--last", "2", "--json" }).out)
    assert.equal(2, #done.runs)
    assert.equal(done.runs[1], done.removed[1].id)
    assert.equal("good", done.removed[1].flow)
    assert.equal(0, done.doubtful)
    assert.equal("2", box:sql_value "SELECT count(*) FROM run")
  end)

  it("is not misled by a clock that was years ahead, and says so", function()
    run(good)
    run(good)
    -- What a state directory keeps that has seen its clock set back by ten years after two runs.
    local years = 3650 * 86400000
    local done = box:sh(([[sqlite3 '%s/flowlua.db' "UPDATE run SET ended_ms=ended_ms-%d,
      created_ms=created_ms-%d; DELETE FROM meta WHERE key='clock'"]])
      :format(box.state, years, years))
    assert.equal(0, done.code, done.err)
    local kept = box:run { "prune", "--keep", "30d" }
    assert.equal(0, kept.code, kept.err)
    assert.matches("^removed 0 runs, 0 B\nkept 1 run that only the clock calls so old: ", kept.out)
    assert.matches("removed 1 run, ", box:run({ "prune", "--keep", "6d" }).out, 1, true)
  end)

  it("finds nothing of supervisors after runs that ended as they should", function()
    for _ = 1, 2 do run(good) end
    support.wait_until("the end of all journals", function() return files "sup" == "" end)
  end)

  it("removes logs and the journals of supervisors, but of those that a run may ask for", function()
    box:write("lost.lua", 'local flow = require "flow"\nlocal f = flow.dag "lost"\n'
      .. 'f.a = flow.shell "echo out; exec sleep 100"\n'
      .. 'f.b = flow.lua { run = function(ctx) ctx:exec { "sleep", "100" } end }\nreturn f\n')
    local engine = box:start { "run", "lost.lua" }
    support.wait_until("both nodes", function()
      return box:exists("state/flowlua.db") and box:sql_value "SELECT count(*) FROM attempt" == "2"
        and files "logs" ~= ""
    end)
    engine:kill(support.SIGKILL)
    engine:wait()
    assert.equal(0, box:run({ "prune", "--keep", "0s", "--all" }).code)
    assert.matches("%.journal\n", files "sup") -- a resume asks for it
    assert.equal(0, box:run({ "cancel", "last", "--kill" }).code)
    box:assert_none_left(10)
    local done = box:run { "prune", "--keep", "0s", "--all" }
    assert.matches("removed 1 run, ", done.out, 1, true)
    assert.equal("", files "sup")
    assert.equal("", files "logs")
  end)

  it("that is killed at any of its writes leaves whole what stays, and the next one finishes",
    function()
      box:sanitizer "detect_leaks=0" -- it cannot look while strace does
      local large = good:gsub("n = 1", 'n = ("x"):rep(%%d)')
      for _, size in ipairs { 3000000, 2000000, 1500000 } do run(large:format(size)) end
      run(bad)
      local function kept() -- what is said of the runs that stay
        local runs = support.decode(box:run({ "runs", "--json" }).out)
        return { runs[1], runs[2], box:run({ "context", runs[2].id, "b", "--json" }).out,
          box:run({ "logs", runs[2].id, "a" }).out }
      end
      local before, killed, calls = kept(), 0, "pwrite64,unlinkat,fdatasync,ftruncate"
      box:sh("cp -a state whole")
      for at = 1, 400, 5 do
        box:sh("rm -rf state; cp -a whole state")
        local done = box:sh(("exec strace -D -qq -o trace -e trace=%s -e "
          .. "inject=%s:signal=SIGKILL:when=%d %s prune --keep 0s"):format(calls, calls, at,
            support.binary))
        if done.err:find("ptrace", 1, true) then return pending("no strace: " .. done.err) end
        if done.code == 0 then break end
        killed = killed + 1
        assert.equal("ok", box:sql_value "PRAGMA integrity_check")
        assert.same(before, kept(), "killed at " .. at)
        local again = box:run { "prune", "--keep", "0s" }
        assert.equal(0, again.code, again.err)
        assert.equal("2", box:sql_value "SELECT count(*) FROM run")
        assert.same(before, kept(), "killed at " .. at .. ", and pruned again")
        for _, name in ipairs { "attempt", "run_input", "epoch", "decision" } do
          assert.equal("0", box:sql_value("SELECT count(*) FROM " .. name
            .. " WHERE run NOT IN (SELECT row FROM run)"), name)
        end
        assert.equal("0", box:sql_value "SELECT count(*) FROM meta WHERE key='pruning'")
        local _, blobs = files("blobs"):gsub("\n", "")
        local _, logs = files("logs"):gsub("\n", "")
        assert.same({ 1, 1 }, { blobs, logs })
      end
      assert.is_true(killed >= 5, killed)
    end)
end)
