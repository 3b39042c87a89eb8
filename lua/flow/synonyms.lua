-- Words of other tools, and what they are here.
local suggest = require "flow.suggest"

local synonyms = {}

local function words(list)
  local meant = {}
  for one, text in next, list do
    for word in text:gmatch "%S+" do meant[word] = one end
  end
  return meant
end

local option = words {
  after = "depends_on depends dependencies needs deps upstream upstreams requires require "
    .. "run_after wait_for parents",
  retries = "retry retry_count max_retries retry_limit max_attempts attempts",
  retry_delay = "delay retry_interval retry_wait backoff",
  env = "environment environ envs env_vars",
  cwd = "working_dir working_directory workdir work_dir workingDir dir directory",
  when = "condition cond run_if only_if run_when skip_if unless",
  allow_failure = "continue_on_error continue_on_failure continueOn ignore_errors ignore_error "
    .. "ignore_failure soft_fail",
  timeout = "execution_timeout timeout_seconds timeout_sec time_limit",
  trigger = "trigger_rule triggers rule",
  doc = "description desc comment label",
  pool = "queue resource",
  weight = "pool_slots slots",
  limit = "concurrency max_parallel parallelism parallel max_active_tis_per_dag",
  over = "items foreach list each expand with_items",
  capture = "output xcom do_xcom_push register",
  limits = "resources ulimits",
  inline = "main_thread",
  params = "args arguments op_kwargs with",
}

local flow_option = words {
  schedule = "cron schedule_interval timetable every",
  defaults = "default_args default",
  params = "parameters args arguments inputs",
  max_runs = "max_active_runs concurrency max_concurrency maxActiveRuns",
  timeout = "dagrun_timeout timeout_seconds",
  tz = "timezone time_zone zone",
  doc = "description desc",
  vars = "variables",
  on_failure = "on_failure_callback onerror on_error",
  on_success = "on_success_callback",
  on_exit = "finally on_finish always",
  tags = "labels",
}

local node_type = words {
  shell = "bash sh cmd run script command zsh BashOperator",
  exec = "process program docker",
  lua = "func fn code callable",
  map = "foreach each loop parallel for_each fanout matrix",
  call = "subflow subdag subworkflow workflow flow dag_run trigger_dag",
  branch = "switch choice choose condition",
  sql = "sqlite query database db",
}

local main_words = {}
for word in ("cmd command script bash_command text run_command sh bash exec"):gmatch "%S+" do
  main_words[word] = true
end

local sentences = {
  python = '; write flow.shell { text, shell = { "python3", "-" } }',
  task = "; flow.shell runs a text, flow.lua a function",
  step = "; flow.shell runs a text, flow.lua a function",
  node = "; flow.shell runs a text, flow.lua a function",
  job = "; flow.shell runs a text, flow.lua a function",
}

local tables = { option = option, flow = flow_option, type = node_type }

--- The end of a message about an unknown word: what another tool's word is called here, else the
--- nearest of the words that there are.
---@param kind "option"|"flow"|"type"
---@param word any
---@param candidates string[] words that may stand there
---@param node_type_name string? of an option: whose it is
---@return string
function synonyms.hint(kind, word, candidates, node_type_name)
  if kind == "type" and sentences[word] then return sentences[word] end
  local meant = tables[kind][word]
  for _, one in ipairs(meant and candidates or {}) do
    if one == meant then return ('; did you mean "%s"?'):format(meant) end
  end
  if kind == "option" and main_words[word] and node_type_name == "shell" then
    return '; the text stands alone: flow.shell { "..." }'
  end
  if kind == "option" and main_words[word] and node_type_name == "exec" then
    return '; the words stand alone: flow.exec { "prog", "word" }'
  end
  return suggest.hint(word, candidates)
end

return synonyms
