-- What `cmake --install` brings, tried by who needs it: a user, an editor, a host in C.
local support = require "tests.feature.support"

local box
before_each(function() box = support.box() end)
after_each(function() box:close() end)

local build = support.binary:match "^(.*)/"

-- A sanitizer's library needs hosts that are built so, too.
local function install()
  if os.getenv "FLOWLUA_SANITIZED" then return pending "of the release build only" end
  local done = box:sh(("cmake --install %s --prefix $PWD/usr >installed"):format(build))
  assert.equal(0, done.code, done.err)
  return true
end

local function sh(command)
  local done = box:sh(command)
  assert.equal(0, done.code, done.err)
  return done.out
end

-- As groff prints it, which has nothing to warn of.
local function page(name)
  local done = box:sh("groff -man -Tascii -P-cbou -ww usr/share/man/" .. name)
  assert.equal("", done.err)
  return done.out
end

describe("an installation", function()
  it("has the program, its pages, completions and types, and init points to these", function()
    if not install() then return end
    assert.equal("made a/b/pipeline.lua\nmade a/b/README.md\nmade a/b/.gitignore\n"
      .. "made a/b/.luarc.json\ntry: cd a/b && flowlua pipeline.lua\n",
      sh "usr/bin/flowlua init a/b")
    local settings = box:read "a/b/.luarc.json"
    local types = settings:match '"workspace.library": %["([^"]+)"%]'
    assert.truthy(settings:find('"runtime.version": "LuaJIT"', 1, true))
    sh("test -r " .. types .. "/context.lua")
    sh "cd a/b && ../../usr/bin/flowlua pipeline.lua --quiet"
    for _, name in ipairs {
      "man/man1/flowlua.1", "man/man3/flowlua.3", "bash-completion/completions/flowlua",
      "zsh/site-functions/_flowlua", "fish/vendor_completions.d/flowlua.fish",
      "doc/flowlua/guide.md", "doc/flowlua/examples/sales.lua",
    } do sh("test -s usr/share/" .. name) end
  end)

  it("goes without a rest, but for what others have put there", function()
    if not install() then return end
    sh "echo mine >usr/share/flowlua/types/mine.lua"
    sh(("cmake -P %s/uninstall.cmake"):format(build))
    assert.equal("usr/share/flowlua/types/mine.lua\n", sh "find usr -type f -o -type l")
    assert.equal("usr/share/flowlua\n", sh "find usr -type d -name flowlua")
  end)

  it("has pages that groff takes, which name every verb and every function", function()
    if not install() then return end
    if os.execute "command -v groff >/dev/null" ~= 0 then return pending "groff is not there" end
    local verbs = page "man1/flowlua.1"
    local count = 0
    for verb in sh("usr/bin/flowlua --complete -- ''"):gmatch "w\t(%l+)\t" do
      assert.truthy(verbs:find("\n   flowlua " .. verb), verb)
      count = count + 1
    end
    assert.is_true(count > 15)
    local calls = page "man3/flowlua.3"
    for name in box:read("usr/include/flowlua.h"):gmatch "FL_API[^;]-(fl_[%w_]+)%(" do
      assert.truthy(calls:find(name .. "(", 1, true), name)
    end
  end)

  it("serves hosts that ask pkg-config or CMake, wherever it was moved", function()
    if not install() then return end
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag "f"
      f.a = flow.shell { "true" }
      return f
    ]])
    box:write("host/host.c", [[
      #include <flowlua.h>
      #include <stdio.h>
      int main(int argc, char **argv) {
        (void)argc;
        fl_error err;
        fl_config config = {.size = sizeof config, .state_dir = argv[2], .helper = argv[1]};
        fl_engine *engine;
        fl_script *script;
        char id[32];
        const char *status = "?";
        if (fl_engine_open(&config, &engine, &err) ||
            fl_script_load(engine, "flow.lua", &script, &err) ||
            fl_run_start(script, NULL, id, &err) || fl_wait(engine, id, &status, &err))
          return fprintf(stderr, "%s\n", err.message), 1;
        printf("%s\n", status);
        fl_engine_close(engine);
        return 0;
      }
    ]])
    box:write("host/CMakeLists.txt", [[
      cmake_minimum_required(VERSION 3.25)
      project(host LANGUAGES C)
      find_package(flowlua 0.1 REQUIRED)
      foreach(kind flowlua static)
        add_executable(by_${kind} host.c)
        target_link_libraries(by_${kind} flowlua::${kind})
      endforeach()
      file(WRITE ${CMAKE_BINARY_DIR}/helper ${FLOWLUA_HELPER})
    ]])
    sh "mv usr moved"
    sh [[export PKG_CONFIG_PATH=$PWD/moved/lib/pkgconfig
      cc host/host.c $(pkg-config --cflags --libs flowlua) -o shared
      libs=$(pkg-config --static --libs-only-l --libs-only-other flowlua | sed s/-lflowlua//)
      cc host/host.c $(pkg-config --cflags flowlua) moved/lib/libflowlua.a $libs -o static
      cmake -G Ninja -S host -B out -DCMAKE_PREFIX_PATH=$PWD/moved >log && cmake --build out >log]]
    local helper = box:read "out/helper"
    assert.equal(helper .. "\n", sh [[export PKG_CONFIG_PATH=$PWD/moved/lib/pkgconfig
      realpath $(pkg-config --variable=helper flowlua)]])
    for i, host in ipairs { "./shared", "./static", "out/by_flowlua", "out/by_static" } do
      assert.equal("succeeded\n",
        sh(("LD_LIBRARY_PATH=$PWD/moved/lib %s %s state%d"):format(host, helper, i)), host)
    end
  end)
end)
