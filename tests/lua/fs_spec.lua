-- Tests the module fs in a folder of its own.
local fs = require "fs"

describe("fs", function()
  local root

  before_each(function() root = assert(fs.tempdir "fs-spec-") end)
  after_each(function() assert(fs.remove(root, { recursive = true })) end)

  local function path(name) return fs.join(root, name) end

  it("reads what it wrote, any bytes", function()
    local data = "a\0b\255\n" .. ("x"):rep(300000)
    assert.is_true(fs.write(path "f", data))
    assert.equal(data, fs.read(path "f"))
    assert.is_true(fs.write(path "f", "", { sync = false }))
    assert.equal("", fs.read(path "f"))
    assert.same({ "f" }, fs.list(root))
  end)

  it("reads files that say they have no size", function()
    assert.matches("^Name:", fs.read "/proc/self/status")
    assert.is_true(fs.copy("/proc/self/status", path "status"))
    assert.matches("^Name:", fs.read(path "status"))
  end)

  it("appends", function()
    assert.is_true(fs.append(path "f", "a"))
    assert.is_true(fs.append(path "f", "b"))
    assert.equal("ab", fs.read(path "f"))
  end)

  it("names what is missing", function()
    local data, err = fs.read(path "none")
    assert.is_nil(data)
    assert.equal("not_found", err.code)
    assert.equal("ENOENT", err.errno)
    local expected = "cannot read '" .. path "none" .. "': No such file or directory (ENOENT)"
    assert.equal(expected, tostring(err))
    assert.equal("EISDIR", select(2, fs.read(root)).errno)
    assert.equal("ENOENT", select(2, fs.write(path "no/f", "")).errno)
    assert.equal("ENOENT", select(2, fs.list(path "none")).errno)
    assert.equal("ENOENT", select(2, fs.remove(path "none")).errno)
    assert.equal("ENOENT", select(2, fs.remove(path "none", { recursive = true })).errno)
    assert.equal("ENOENT", select(2, fs.stat(path "none")).errno)
    assert.equal("ENOENT", select(2, fs.rename(path "none", path "b")).errno)
    assert.equal("ENOENT", select(2, fs.copy(path "none", path "b")).errno)
    assert.equal("EISDIR", select(2, fs.copy(root, path "b")).errno)
  end)

  it("keeps permissions and links when it replaces", function()
    assert(fs.write(path "f", "1"))
    os.execute("cd " .. root .. " && chmod 640 f && ln -s f link && ln -s new dangling")
    assert(fs.write(path "link", "2"))
    assert.equal("2", fs.read(path "f"))
    assert.equal(416, fs.stat(path "f").mode)
    assert.equal("link", fs.stat(path "link", { follow = false }).type)
    assert(fs.write(path "dangling", "3"))
    assert.equal("3", fs.read(path "new"))
    assert.same({ "dangling", "f", "link", "new" }, fs.list(root))
    assert.is_true(fs.write("/dev/null", "x"))
    assert.equal("char_device", fs.stat("/dev/null").type)
  end)

  it("writes through /dev/fd to a file that has no name", function()
    local ffi = require "ffi"
    ffi.cdef "int memfd_create(const char *, unsigned); int close(int);"
    local fd = ffi.C.memfd_create("spec", 0)
    assert(fs.write("/dev/fd/" .. fd, "hello"))
    assert.equal("hello", fs.read("/dev/fd/" .. fd))
    ffi.C.close(fd)
  end)

  it("tells what is there", function()
    assert(fs.write(path "f", "12345"))
    assert.is_true(fs.exists(path "f"))
    assert.is_false(fs.exists(path "g"))
    local stat = fs.stat(path "f")
    assert.equal("file", stat.type)
    assert.equal(5, stat.size)
    assert.equal(1, stat.links)
    assert.is_true(stat.mtime > 1600000000)
    assert.equal("directory", fs.stat(root).type)
  end)

  it("lists and matches in the order of bytes", function()
    for _, name in ipairs { "b.txt", "B.txt", "a.txt", ".hidden", "c.csv" } do
      assert(fs.write(path(name), ""))
    end
    assert.same({ ".hidden", "B.txt", "a.txt", "b.txt", "c.csv" }, fs.list(root))
    assert.same({ path "B.txt", path "a.txt", path "b.txt" }, fs.glob(path "*.txt"))
    assert.same({ path "a.txt", path "c.csv" }, fs.glob(path "{a,c}.*"))
    assert.same({}, fs.glob(path "*.none"))
    assert(fs.mkdir(path "empty"))
    assert.same({}, fs.list(path "empty"))
  end)

  it("makes and removes folders", function()
    assert.is_true(fs.mkdir(path "a/b/c"))
    assert.is_true(fs.mkdir(path "a/b/c/"))
    assert(fs.write(path "a/b/f", ""))
    assert.equal("ENOTEMPTY", select(2, fs.remove(path "a/b")).errno)
    os.execute("ln -s / " .. path "a/b/c/root")
    assert.is_true(fs.remove(path "a", { recursive = true }))
    assert.is_false(fs.exists(path "a"))
    assert.is_true(fs.exists "/etc")
    assert(fs.write(path "f", ""))
    assert.equal("ENOTDIR", select(2, fs.mkdir(path "f/x")).errno)
    assert.equal("ENOTDIR", select(2, fs.mkdir(path "f")).errno)
    assert.is_true(fs.remove(path "f", { recursive = true }))
    assert.equal("ENOENT", select(2, fs.mkdir "").errno)
  end)

  it("renames and copies", function()
    assert(fs.write(path "a", "data"))
    os.execute("chmod 755 " .. path "a")
    assert.is_true(fs.copy(path "a", path "b"))
    assert.equal(493, fs.stat(path "b").mode)
    assert.is_true(fs.rename(path "a", path "c"))
    assert.same({ "b", "c" }, fs.list(root))
    assert.equal("data", fs.read(path "c"))
  end)

  it("raises for wrong use", function()
    assert.error_matches(function() fs.read() end, "fs.read: path: expected a string, got nothing")
    assert.error_matches(function() fs.read "a\0b" end, "fs.read: path: has a zero byte in it")
    assert.error_matches(function() fs.write("f", {}) end,
      "fs.write: data: expected a string, got table")
    assert.error_matches(function() fs.remove("f", { recursve = true }) end,
      "did you mean 'recursive'")
    assert.error_matches(function() fs.remove("f", "all") end,
      "expected a table of options, got string")
    assert.error_matches(function() fs.tempdir "a/b" end, "has a '/' in it")
  end)
end)

describe("fs on paths", function()
  it("joins", function()
    local rows = {
      { { "a", "b" }, "a/b" },
      { { "a/", "b" }, "a/b" },
      { { "a", "/b" }, "/b" },
      { { "", "a", "", "b" }, "a/b" },
      { { "/", "a" }, "/a" },
      { { "a" }, "a" },
      { { "" }, "" },
    }
    for _, row in ipairs(rows) do assert.equal(row[2], fs.join(unpack(row[1]))) end
    assert.error_matches(function() fs.join() end, "expected a string")
  end)

  it("takes apart", function()
    local rows = {
      -- path, dirname, basename, ext
      { "a/b/c.txt", "a/b", "c.txt", ".txt" },
      { "a/b/", "a", "b", "" },
      { "a", ".", "a", "" },
      { "/a", "/", "a", "" },
      { "/", "/", "/", "" },
      { "//a//b//", "//a", "b", "" },
      { "", ".", "", "" },
      { "a.tar.gz", ".", "a.tar.gz", ".gz" },
      { "x/.profile", "x", ".profile", "" },
      { "x/.profile.bak", "x", ".profile.bak", ".bak" },
      { "..", ".", "..", "" },
      { "a.", ".", "a.", "." },
      { "a.b/c", "a.b", "c", "" },
    }
    for _, row in ipairs(rows) do
      assert.same(row, { row[1], fs.dirname(row[1]), fs.basename(row[1]), fs.ext(row[1]) })
    end
  end)

  it("makes absolute", function()
    assert.equal("/a/c", fs.absolute "/a/./b/..//c/")
    assert.equal("/x/a", fs.absolute("a", "/x"))
    assert.equal("/a", fs.absolute("../../a", "/x"))
    assert.equal("/", fs.absolute "/..")
    assert.equal(fs.join(fs.cwd(), "a"), fs.absolute "a")
    assert.equal(fs.join(fs.cwd(), "b/a"), fs.absolute("a", "b"))
  end)
end)
