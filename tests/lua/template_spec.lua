-- Templates: names, values in text, words for a shell, parameters for SQL, and what goes wrong.
local flow = require "flow"
local template = require "flow.template"

local scope = {
  run = { id = "r1", date = "2024-02-29", time = 1709164800 },
  params = { regions = { "Beijing", "Shang hai" }, n = 3, price = 0.1, empty = flow.list {},
    on = true,
    name = "it's", big = 9007199254740993LL, map = { a = 1 }, null = flow.null },
  vars = { rows = 12 },
  inputs = { extract = { orders = { 1, 2, 3 } }, ["load-1"] = "x" },
  item = "i1", index = 2,
}

describe("a template in a text", function()
  local rows = {
    { "no template", "no template" },
    { "{{run.date}}", "2024-02-29" },
    { "a {{ run.date }} b", "a 2024-02-29 b" },
    { "{{params.n}}", 3 },
    { "n={{params.n}}", "n=3" },
    { "{{params.price}}%", "0.1%" },
    { "{{params.n / 7}}!", "0.42857142857142855!" },
    { "{{2^40}}.", "1099511627776." },
    { "{{params.on}}", true },
    { "on: {{params.on}}", "on: true" },
    { "{{#inputs.extract.orders}}", 3 },
    { "{{inputs['load-1']}}-", "x-" },
    { "m {{params.map}}", 'm {"a":1}' },
    { "l {{params.regions}}", 'l ["Beijing","Shang hai"]' },
    { "[{{params.null}}]", "[]" },
    { "{{vars.missing or 'none'}}.", "none." },
    { "{{date(run.time, '%d.%m.')}}", "29.02." },
    { "{{date(run.time - day)}}", "2024-02-28" },
    { "{{date()}}", "2024-02-29" },
    { "{{run.time - hour}}", 1709164800 - 3600 },
    { "{{second + minute + hour + day + week}}", 1 + 60 + 3600 + 86400 + 604800 },
    { "{{('x'):rep(3)}}", "xxx" },
    { "{{string.upper(run.id)}}-{{math.max(1, 2)}}", "R1-2" },
    { "{{table.concat(params.regions, '+')}}", "Beijing+Shang hai" },
    { "{{item}}/{{index}}", "i1/2" },
    { '{{ ({ a = "}" }).a }}', "}" },
    { '{{ ({ a = { 1 }})["a"][1] }}x', "1x" },
    { '{{"{{"}}x}}', "{{x}}" },
    { "{{{params.n}}}.", "3." },
    { "{{ {1, 2} }}", { 1, 2 } },
    { "a{{false}}b", "afalseb" },
    { "{{params.big}}!", "9007199254740993!" },
  }
  for _, row in ipairs(rows) do
    it(row[1], function() assert.same(row[2], template.render(row[1], "text", scope)) end)
  end
end)

describe("a template in a shell's text", function()
  local rows = {
    { "echo {{run.date}}", "echo 2024-02-29" },
    { "echo {{params.name}}", "echo 'it'\\''s'" },
    { "echo {{params.regions}} end", "echo Beijing 'Shang hai' end" },
    { "echo {{{params.name}}}", "echo it's" },
    { "echo [{{params.empty}}]", "echo []" },
    { "echo {{params.map}}", "echo '{\"a\":1}'" },
    { "echo {{''}}", "echo ''" },
    { "echo {{'a\\nb'}}", "echo 'a\nb'" },
    { "echo {{'$(rm -rf /)'}}", "echo '$(rm -rf /)'" },
    { "{{params.n}}", "3" },
    { "ls {{'-la'}}", "ls -la" },
  }
  for _, row in ipairs(rows) do
    it(row[1], function() assert.same(row[2], template.render(row[1], "shell", scope)) end)
  end
end)

describe("a template in SQL", function()
  local rows = {
    { "select 1", "select 1", {} },
    { "select {{run.date}}, {{params.n}}", "select :flow_1, :flow_2",
      { flow_1 = "2024-02-29", flow_2 = 3 } },
    { "select * from t where a in ({{params.regions}})",
      "select * from t where a in (:flow_1, :flow_2)",
      { flow_1 = "Beijing", flow_2 = "Shang hai" } },
    { "select * from t where a in ({{params.empty}})", "select * from t where a in (NULL)", {} },
    { "select {{params.map}}", "select :flow_1", { flow_1 = '{"a":1}' } },
    { "select {{params.null}}", "select :flow_1", { flow_1 = flow.null } },
    { "select 'it''s', {{params.on}} -- don't", "select 'it''s', :flow_1 -- don't",
      { flow_1 = true } },
  }
  for _, row in ipairs(rows) do
    it(row[1], function()
      assert.same({ text = row[2], values = row[3] }, template.render(row[1], "sql", scope))
    end)
  end
end)

describe("a template that goes wrong names", function()
  local rows = {
    { "an unknown field", "{{run.dat}}",
      'template {{ run.dat }}: unknown name run.dat; did you mean "date"?' },
    { "an unknown field on the way", "{{params.regoins[1]}}",
      'template {{ params.regoins[1] }}: unknown name params.regoins; did you mean "regions"?' },
    { "an unknown node", "{{inputs.extrat.orders}}",
      'template {{ inputs.extrat.orders }}: unknown name inputs.extrat; did you mean "extract"?' },
    { "an unknown root", "{{parms.n}}",
      'template {{ parms.n }}: unknown name parms; did you mean "params"?' },
    { "a name of Lua that is not there", "{{os.time()}}",
      "template {{ os.time() }}: unknown name os" },
    { "an environment variable that is not set", "{{env.NO_SUCH_VARIABLE}}",
      "template {{ env.NO_SUCH_VARIABLE }}: the environment variable NO_SUCH_VARIABLE is not set" },
    { "a nil of another kind", "{{nil}}", "template {{ nil }}: the value is nil" },
    { "an error of its own", "{{error_('x')}}", "template {{ error_('x') }}: unknown name error_" },
    { "arithmetic on a text", "{{run.date + 1}}",
      "template {{ run.date + 1 }}: attempt to perform arithmetic on field 'date' (a string "
        .. "value)" },
    { "a function", "x {{string.rep}}",
      "template {{ string.rep }}: expected a value that can be text, got a function" },
  }
  for _, row in ipairs(rows) do
    it(row[1], function()
      local ok, message = pcall(template.render, row[2], "text", scope)
      assert.is_false(ok)
      assert.equal(row[3], message)
    end)
  end

  it("item outside of a map", function()
    local ok, message = pcall(template.render, "{{item}}", "text", { run = {} })
    assert.is_false(ok)
    assert.equal("template {{ item }}: item is known only in the items of a map", message)
  end)

  it("assignments", function()
    local ok, message = pcall(template.render, "{{(function() x = 1 end)()}}", "text", scope)
    assert.is_false(ok)
    assert.truthy(message:find "a template assigns nothing", 1, true)
  end)
end)

describe("what a template means", function()
  it("is compiled once a text", function()
    local seen = 0
    local s = setmetatable({}, { __index = function() seen = seen + 1 return { id = seen } end })
    assert.equal("1", tostring(template.render("{{run.id}}", "text", s)))
    assert.equal("2", tostring(template.render("{{run.id}}", "text", s)))
  end)

  it("may be found by templates inside of templates", function()
    local inner = setmetatable({}, { __index = function(_, name)
      if name == "run" then return { id = template.render("{{vars.rows}}", "text", scope) } end
    end })
    assert.equal("12!", template.render("{{run.id}}!", "text", inner))
  end)

  it("can be told to use a zone for dates", function()
    template.set_zone { offset = function(_, tz)
      if tz == "Asia/Shanghai" then return 8 * 3600, "CST" end
      return 0, "UTC"
    end }
    assert.equal("+0800 CST 1709164800 %Z", template.date(1709164800, "%z %Z %s %%Z",
      "Asia/Shanghai"))
    assert.equal("+0000 UTC", template.date(1709164800, "%z %Z"))
    assert.equal("2024-02-29 08:00", template.date(1709164800, "%Y-%m-%d %H:%M", "Asia/Shanghai"))
    assert.equal("2024-02-29 00:00", template.date(1709164800, "%Y-%m-%d %H:%M"))
  end)
end)
