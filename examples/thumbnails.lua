-- A node type of our own, nodes/thumbnail.lua, used over files that are known only at run time.
--   flowlua examples/thumbnails.lua       paints thumbnails_out/*.ppm and makes each one small
--   flowlua examples/thumbnails.lua --param count=40 --param size=128 --jobs 4
local flow, fs = require "flow", require "fs"

local thumbnails = flow.dag("thumbnails", {
  params = {
    count = { "integer", default = 12, min = 1, doc = "pictures to paint" },
    size = { "integer", default = 64, min = 1, doc = "longer side of a thumbnail, in pixels" },
    dir = { "string", default = fs.absolute "thumbnails_out", doc = "where the pictures go" },
  },
})

-- Rings of colour around a point: the same for the same number.
local function paint(number, width, height)
  local out = { ("P6\n%d %d\n255\n"):format(width, height) }
  local cx, cy = number * 131 % width, number * 71 % height
  for y = 0, height - 1 do
    for x = 0, width - 1 do
      local far = math.sqrt((x - cx) ^ 2 + (y - cy) ^ 2)
      out[#out + 1] = string.char(far * number % 256, (far + x) % 256, (far + number * 40) % 256)
    end
  end
  return table.concat(out)
end

thumbnails.paint = flow.lua { run = function(ctx)
  local dir = ctx:path(ctx.params.dir)
  assert(fs.mkdir(dir))
  for number = 1, ctx.params.count do
    local path = fs.join(dir, ("picture-%03d.ppm"):format(number))
    if not fs.exists(path) then assert(fs.write(path, paint(number, 320, 240))) end
    ctx:progress(number, ctx.params.count)
  end
  return fs.glob(fs.join(dir, "picture-*.ppm"))
end }

-- An item a file: small[1], small[2], ... Each is recorded, retried and resumed by itself.
thumbnails.small = flow.map {
  after = "paint", over = "{{ inputs.paint }}", retries = 1,
  node = flow.thumbnail {
    src = "{{ item }}", size = "{{ params.size }}",
    out = "{{ item:gsub('picture', 'small') }}",
  },
}

thumbnails.list = flow.lua { after = "small", inline = true, run = function(ctx)
  local lines = {}
  for i, small in ipairs(ctx.inputs.small) do
    lines[i] = ("%s %dx%d"):format(fs.basename(small.out), small.width, small.height)
  end
  ctx:log(table.concat(lines, "\n"))
  return { count = #lines }
end }

return thumbnails
