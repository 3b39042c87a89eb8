-- The examples run as they stand, leave what they say, and leave it as it is when run again.
local support = require "tests.feature.support"

describe("the example", function()
  local box
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local function run(name, ...)
    local done = box:run { support.root .. "/examples/" .. name .. ".lua", "--no-progress", ... }
    assert.equal(0, done.code, name .. ": " .. done.out .. done.err)
    return done
  end

  local function lines_of(name) return support.lines(assert(box:read(name), name)) end

  it("hello greets", function()
    run("hello", "--param", "name=you")
    assert.equal("hello, you", box:show().node.greet.outputs.greeting)
    assert.equal("greet| hello, you\n", box:run({ "logs", "last" }).out)
  end)

  it("sales turns orders into a report, and the same ones into the same", function()
    local folder = box.path .. "/out"
    local options = { "--param", "rows=3000", "--param", "dir=" .. folder }
    run("sales", unpack(options))
    local report = box:read "out/sales-2026-01-31.csv"
    local summary = box:read "out/sales-2026-01-31.json"
    local told = support.decode(summary)
    assert.equal("region,hour,orders,items,amount", support.lines(report)[1])
    local orders, amount = 0, 0
    for _, line in ipairs(support.lines(report)) do
      local count, sum = line:match "^%a+,%d%d,(%d+),%d+,([%d.]+)$"
      orders, amount = orders + (tonumber(count) or 0), amount + (tonumber(sum) or 0)
    end
    assert.equal(told.orders, orders)
    assert.is_true(math.abs(told.amount - amount) < 1)
    assert.same({ "Beijing", "Shanghai", "Chengdu" }, told.regions)
    -- Every order line of the regions counts once, but those without a quantity.
    local known, counted = {}, 0
    for _, line in ipairs(lines_of "out/orders-2026-01-31-3000.csv") do
      local id, region, quantity = line:match "^(%d+),[^,]*,([^,]*),[^,]*,[^,]*,(%d*)"
      region = region and region:lower():gsub(" ", "")
      if id and not known[id] and quantity ~= "" and
        (region == "beijing" or region == "shanghai" or region == "chengdu") then
        known[id], counted = true, counted + 1
      end
    end
    assert.equal(counted, told.orders)
    run("sales", unpack(options))
    assert.equal(report, box:read "out/sales-2026-01-31.csv")
    assert.equal(summary, box:read "out/sales-2026-01-31.json")
  end)

  it("sales loads on where an engine that was killed had left off", function()
    local file = support.root .. "/examples/sales.lua"
    local started = box:start { file, "--no-progress", "--param", "dir=" .. box.path .. "/out",
      "--param", "rows=250000" }
    support.wait_until("a checkpoint", function()
      local ok, value = pcall(box.sql_value, box,
        "select checkpoint from v_node where name = 'model' and checkpoint is not null")
      return ok and value
    end)
    started:kill()
    started:wait()
    local done = box:run { "resume" }
    assert.equal(0, done.code, done.out .. done.err)
    local lines = #lines_of "out/orders-2026-01-31-250000.csv" - 1
    assert.equal(lines, box:show().node.model.outputs.lines)
    assert.equal("1", box:sql_value "select count(*) from v_attempt where name = 'extract'")
  end)

  -- The commands of an example's header, in order, as they stand there.
  local function commands_of(name)
    local commands = {}
    for line in io.lines(("%s/examples/%s.lua"):format(support.root, name)) do
      if not line:find "^%-%-" then break end
      commands[#commands + 1] = line:match "^%-%-   (flowlua .-)%s%s+" or
        line:match "^%-%-   (flowlua .*)$"
    end
    return commands
  end

  -- How often each node really ran, of those that ran more than once: "total[7]*2 load*2".
  local function often()
    return box:sql_value [[select group_concat(name || '*' || runs, ' ') from
      (select name, count(*) as runs from v_attempt where synthetic = 0 and status <> 'skipped'
       group by name having count(*) > 1 order by min(seq))]]
  end

  -- Runs these commands of mend's header; `says`: { exit code, what it prints } of each.
  local function mend(first, says)
    box.env.PATH = support.binary:match "^(.*)/" .. ":" .. box.env.PATH
    assert.equal(0, box:sh("cp -r '" .. support.root .. "/examples' .").code)
    local commands = commands_of "mend"
    for i, said in ipairs(says) do
      local command = commands[first + i - 1]
      local done = box:sh(command .. " 2>&1")
      assert.equal(said[1], done.code, command .. ": " .. done.out)
      assert.matches(said[2], done.out, nil, nil, command)
    end
    assert.equal("total*2 total[7]*2 load*2", often())
    assert.equal("2026-10 loaded\n2026-11 loaded\n2026-12 loaded\n",
      box:run({ "logs", "last", "load" }).out)
  end

  it("mend breaks, is mended, and goes on, by the very commands of its header", function()
    mend(1, {
      { 1, "total%[7%] failed .*912 is above the largest sale, 500" },
      { 0, "total%[7%], attempt 1: .*912 is above.*a resume runs 4: total, total%[7%], load, rep" },
      { 0, "fetch +keep .*total%[6%] +keep .*total%[7%] +run .*4 of 16 nodes would run" },
      { 1, "total%[7%] succeeded.*load failed .*2026%-10: no rate for GBP" },
      { 0, "load succeeded .*succeeded in" },
      { 0, "status +succeeded.*resumes +2.*param largest=1000.*bank called.*16 succeeded" },
    })
    assert.equal("12 months, 3643.92 euros\n", box:run({ "logs", "last", "report" }).out)
  end)

  it("mend goes on with what its rules propose", function()
    mend(7, {
      { 1, "proposal 1 %(larger sales%)" },
      { 1, "total%[7%] succeeded.*no rate for GBP.*proposal 2 %(leave out%)" },
      { 0, "load succeeded" },
    })
    assert.equal("12 months, 3550.32 euros\n", box:run({ "logs", "last", "report" }).out)
    assert.matches("1 .*largest=1000 +failed.*2 .*unknown=omit +succeeded",
      box:run({ "proposals", "last" }).out)
    assert.equal(1, box:run({ "examples/mend.lua", "--quiet" }).code)
  end)

  it("thumbnails makes each picture small", function()
    local size = { 32, 24 }
    run("thumbnails", "--param", "count=3", "--param", "size=32",
      "--param", "dir=" .. box.path .. "/t")
    local shown = box:show()
    for i = 1, 3 do
      assert.equal("succeeded", shown.node[("small[%d]"):format(i)].status)
      local data = box:read(("t/small-%03d.ppm"):format(i))
      local head = ("P6\n%d %d\n255\n"):format(size[1], size[2])
      assert.equal(head, data:sub(1, #head))
      assert.equal(#head + size[1] * size[2] * 3, #data)
    end
    assert.equal(3, shown.node.list.outputs.count)
  end)

  it("replay_dag keeps the order, the priorities and the names of its file", function()
    run("replay_dag", "--jobs", "1")
    local order = box:sql "select name from v_attempt order by seq"
    local names = {}
    for i, row in ipairs(order) do names[i] = row[1] end
    assert.same({ "fetch_2", "fetch_1", "join_1_2", "plot", "report" }, names)
  end)

  it("replay_dag makes one name of each id, and takes any file", function()
    box:write("dag.json", [[{"nodes": [
      {"id": "a b", "runtime_s": 0}, {"id": "a/b", "deps": ["a b"]}, {"id": "7", "deps": ["a/b"]},
      {"id": "a_b_2", "deps": []} ]}]])
    run("replay_dag", "--", box.path .. "/dag.json")
    local shown, names = box:show(), {}
    for i, node in ipairs(shown.nodes) do names[i] = node.name end
    assert.same({ "a_b", "a_b_2", "_7", "a_b_2_2" }, names)
    assert.same({ "a_b" }, shown.node.a_b_2.after)
  end)

  it("replay_dag runs recorded workflows", function()
    local folder = support.root .. "/../shared/data/workflows/"
    local file = folder .. "1000genome-chameleon-2ch-100k-001.json"
    if not support.read(file) then return pending "no recorded workflows are beside the project" end
    box.env.REPLAY_DAG = file
    run("replay_dag", "--param", "scale=0.00001")
    for _, node in ipairs(box:show().nodes) do assert.equal("succeeded", node.status) end
  end)

  it("build builds this project, and only once", function()
    if support.is_sanitized then return pending "the same without sanitizers" end
    local out = box.path .. "/objects"
    local built = box:run({ support.root .. "/examples/build.lua", "--no-progress", "--param",
      "out=" .. out, "--param", "cflags=-O0" }, { timeout = 270 }) -- compiles all there is
    assert.equal(0, built.code, built.out .. built.err)
    local version = box:sh("'" .. out .. "/flowlua' version")
    assert.equal(0, version.code)
    assert.equal(box:run({ "version" }).out, version.out)
    run("build", "--param", "out=" .. out, "--param", "cflags=-O0")
    local compiled = box:sql_value [[select count(*) from v_attempt where run =
      (select id from v_run order by created_at desc limit 1)]]
    assert.equal("5", compiled) -- flags, keys of a patch, embed, the empty store, link
  end)
end)
