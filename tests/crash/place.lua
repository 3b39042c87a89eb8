-- A folder of its own in which a crash test runs flowlua: state, ledger, events, what it said. All
-- that runs there carries a mark in its environment, so that what is left over is found by it.
local place = {}

local HUNG_S = 60       -- a flow of a crash test takes less than a second
local HUNG_CODE = 124   -- of timeout(1)
local LEFT_S = 5        -- for what is still ending when the engine has ended

place.KILLED = 137

function place.lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

function place.read(path)
  local file = io.open(path, "rb")
  if not file then return "" end
  local text = file:read "*a"
  file:close()
  return text
end

function place.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- Runs a command and returns its exit code; a signal counts as 128 + its number.
function place.execute(text)
  local status = os.execute(text)
  return status % 256 == 0 and status / 256 or 128 + status % 128
end

--- Sets what all of this process use: our folder, the binary. Returns an error, or nil.
function place.init(here)
  place.here = here
  local path = os.getenv "FLOWLUA_BIN" or here .. "/../../build/release/flowlua"
  place.binary = place.lines_of(("realpath -e '%s' 2>&1"):format(path))[1]
  place.lanes = 2
  if not place.binary:find "^/" then return place.binary end
end

--- Makes `dir` anew, as a copy of `template` when there is one.
function place.make(dir, template)
  os.execute(("rm -rf '%s' && mkdir -p '%s'"):format(dir, dir))
  if template then os.execute(("cp -r '%s/.' '%s'"):format(template, dir)) end
  return dir
end

function place.remove(dir) os.execute("rm -rf '" .. dir .. "'") end

-- The words that run `flowlua WORDS` in `dir`, under the tracer `before` when there is one.
local function command_of(dir, words, before)
  return ("cd '%s' && CRASH_MARK='%s' CRASH_LEDGER='%s/ledger' CRASH_ACKS='%s/acks' "
    .. "LUA_INIT= timeout -k 5 %d %s '%s' %s --state '%s/state' >> events 2>> out"):format(dir, dir,
    dir, dir, HUNG_S, before or "", place.binary, words, dir)
end

--- Runs flowlua to its end; returns its exit code.
function place.flowlua(dir, words, before)
  local code = place.execute(command_of(dir, words, before))
  if code == HUNG_CODE then code = "nothing: it hung" end
  return code
end

--- What flowlua prints, and its exit code.
function place.ask(dir, words)
  os.remove(dir .. "/said")
  local code = place.execute((command_of(dir, words):gsub(">> events 2>> out$", ">> said 2>&1")))
  return place.read(dir .. "/said"), code
end

-- ------------------------------------------------------------------------------------ tracers

--- The calls of these names that one run makes, in order: { name, count of this name so far, what
--- it was asked } each; nil when the run fails.
function place.list_calls(dir, words, names)
  local trace = ("strace -qq -y -o '%s/trace' -e trace=%s"):format(dir, table.concat(names, ","))
  if place.flowlua(dir, words, trace) ~= 0 then return nil end
  local calls, count = {}, {}
  for line in io.lines(dir .. "/trace") do
    local name, rest = line:match "^([%w_]+)%((.*)$"
    if name then
      count[name] = (count[name] or 0) + 1
      calls[#calls + 1] = { name, count[name], rest }
    end
  end
  return calls
end

--- Ends the engine at the `count`th call of this name.
function place.kill_at(name, count)
  return ("strace -qq -o /dev/null -e trace=%s -e inject=%s:signal=KILL:when=%d")
    :format(name, name, count)
end

--- Makes the `count`th call fail ("1", "3+": from there on), of the engine or of `all` processes.
--- What it did is in `dir`/trace. With `all` the tracer waits for nobody: a supervisor that cannot
--- write what it knows lives on with it.
function place.fail_at(dir, name, errno, count, all)
  return ("strace -qq -y %s -o '%s/trace' -e trace=%s,pwrite64 -e inject=%s:error=%s:when=%s")
    :format(all and "-D -f" or "", dir, name, name, errno, count)
end

-- Pids of what carries the mark of `dir`, as lines of /proc.
local function marked(dir)
  return place.lines_of(("grep -lsza '^CRASH_MARK=%s$' /proc/[0-9]*/environ"):format(dir))
end

--- Kills the supervisors of `dir`.
function place.kill_supervisors(dir)
  for _, path in ipairs(marked(dir)) do
    os.execute(("grep -qsz -- '^--supervisor$' %s && kill -9 %s 2>/dev/null")
      :format(path:gsub("environ$", "cmdline"), path:match "%d+"))
  end
end

-- The engine is the one of the marked that runs the binary with --json.
local STOP = [[
%s &
p=$!
while kill -0 $p 2>/dev/null; do
  if grep -qs 'stopped by SIGSTOP' '%s/stops'; then
    echo stopped > '%s/stopped'
    for f in $(grep -lsza '^CRASH_MARK=%s$' /proc/[0-9]*/environ); do
      f=${f%%/environ}
      if grep -qsz -- '^--supervisor$' $f/cmdline; then kill -9 ${f##*/}; fi
      if grep -qsz -- '^--json$' $f/cmdline; then
        case $(readlink $f/exe) in */flowlua) e=${f##*/};; esac
      fi
    done
    kill -CONT $e
    break
  fi
  sleep 0.005
done
wait $p]]

--- Runs flowlua, stops it at a call, kills its supervisor there and lets it go on. Returns its exit
--- code, and whether it came to that call.
function place.flowlua_stopped(dir, words, name, count)
  local before = ("strace -qq -o '%s/stops' -e trace=%s -e inject=%s:signal=STOP:when=%d")
    :format(dir, name, name, count)
  local code = place.execute("{ " .. STOP:format(command_of(dir, words, before), dir, dir, dir)
    .. "; } 2>/dev/null")
  return code, place.read(dir .. "/stopped") ~= ""
end

-- ------------------------------------------------------------------------------------ left over

--- What is still there that was started in `dir`, { pid, command } each; it is ended.
function place.find_left(dir)
  local until_time, left = os.time() + LEFT_S, nil
  repeat
    if left then os.execute "sleep 0.02" end
    left = marked(dir)
  until #left == 0 or os.time() > until_time
  local found = {}
  for _, path in ipairs(left) do
    local name = place.lines_of(("tr '\\0' ' ' < %s 2>/dev/null")
      :format((path:gsub("environ$", "cmdline"))))[1]
    found[#found + 1] = { path:match "%d+", name or "" }
    os.execute("kill -9 " .. path:match "%d+" .. " 2>/dev/null")
  end
  return found
end

return place
