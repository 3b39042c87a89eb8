-- flow.thumbnail { src = "photo.ppm", out = "small.ppm", size = 64 }: a smaller copy of an image.
-- It is a binary PPM, at most `size` pixels wide and high; each pixel is the mean of what it shows.
local flow, fs = require "flow", require "fs"

local function read_ppm(path)
  local data = assert(fs.read(path))
  local width, height, at = data:match "^P6%s+(%d+)%s+(%d+)%s+255%s()"
  assert(width and #data - at + 1 >= width * height * 3, path .. ": expected a binary PPM image")
  return data, tonumber(width), tonumber(height), at
end

-- The mean of the pixels of columns x0..x1-1 and rows y0..y1-1.
local function mean(data, at, width, x0, x1, y0, y1)
  local r, g, b = 0, 0, 0
  for y = y0, y1 - 1 do
    for place = at + (y * width + x0) * 3, at + (y * width + x1 - 1) * 3, 3 do
      local pr, pg, pb = data:byte(place, place + 2)
      r, g, b = r + pr, g + pg, b + pb
    end
  end
  local count = (x1 - x0) * (y1 - y0)
  return r / count, g / count, b / count
end

local function shrink(data, width, height, at, size)
  local scale = math.max(1, width / size, height / size)
  local w, h = math.max(1, math.floor(width / scale)), math.max(1, math.floor(height / scale))
  local out = { ("P6\n%d %d\n255\n"):format(w, h) }
  for y = 0, h - 1 do
    local y0, y1 = math.floor(y * height / h), math.floor((y + 1) * height / h)
    for x = 0, w - 1 do
      local x0, x1 = math.floor(x * width / w), math.floor((x + 1) * width / w)
      out[#out + 1] = string.char(mean(data, at, width, x0, x1, y0, y1))
    end
  end
  return table.concat(out), w, h
end

return flow.node_type {
  name = "thumbnail",
  params = {
    src = { "string", required = true, doc = "the image" },
    out = { "string", required = true, doc = "where the small one goes" },
    size = { "integer", default = 64, min = 1, doc = "the longer side of it, in pixels" },
  },
  run = function(_, p)
    local data, width, height, at = read_ppm(p.src)
    local small, w, h = shrink(data, width, height, at, p.size)
    assert(fs.write(p.out, small))
    return { src = p.src, out = p.out, width = w, height = h }
  end,
}
