// flowlua completion bash|zsh|fish: a script that completes verbs, options and their choices.
#include "cli.h"

// "--state --color ..." of a verb and of all verbs.
static void print_option_words(const fl_cli_verb *verb) {
  const fl_cli_option *tables[] = {verb->options, fl_cli_global_options};
  const char *sign = "";
  for (size_t t = 0; t < 2; t++)
    for (const fl_cli_option *o = tables[t]; o && o->name; o++, sign = " ")
      fl_cli_printf("%s--%s", sign, o->name);
}

// Calls `print` for each option with choices or that takes a file or a folder, once a name.
static void each_value(void (*print)(const fl_cli_option *o)) {
  const char *seen[64];
  size_t count = 0;
  for (size_t v = 0; fl_cli_verbs[v]; v++) {
    const fl_cli_option *tables[] = {fl_cli_verbs[v]->options, fl_cli_global_options};
    for (size_t t = 0; t < 2; t++)
      for (const fl_cli_option *o = tables[t]; o && o->name; o++) {
        bool again = !o->value;
        for (size_t i = 0; i < count && !again; i++) again = strcmp(seen[i], o->name) == 0;
        if (again || count == 64) continue;
        seen[count++] = o->name;
        print(o);
      }
  }
}

static bool takes_path(const fl_cli_option *o) {
  return strcmp(o->value, "DIR") == 0 || strcmp(o->value, "FILE") == 0;
}

// ------------------------------------------------------------------------------------- bash

static void print_bash_value(const fl_cli_option *o) {
  if (o->choices)
    fl_cli_printf("    --%s) COMPREPLY=($(compgen -W \"%s\" -- \"$word\")); return ;;\n", o->name,
                  o->choices);
  else if (takes_path(o))
    fl_cli_printf("    --%s) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen %s -- "
                  "\"$word\")); return ;;\n",
                  o->name, strcmp(o->value, "DIR") == 0 ? "-d" : "-f");
  else
    fl_cli_printf("    --%s) COMPREPLY=(); return ;;\n", o->name);
}

static void print_bash_words(const fl_cli_verb *verb) {
  const char *kind = verb->word_kind ? verb->word_kind : "";
  fl_cli_printf("    %s) options=\"", verb->name);
  print_option_words(verb);
  fl_cli_printf("\"");
  if (strcmp(kind, "file") == 0) fl_cli_printf("; files=-f");
  if (strcmp(kind, "dir") == 0) fl_cli_printf("; files=-d");
  if (strcmp(kind, "verb") == 0) fl_cli_printf("; words=\"$verbs\"");
  if (strcmp(kind, "shell") == 0) fl_cli_printf("; words=\"bash zsh fish\"");
  if (strcmp(kind, "run") == 0) fl_cli_printf("; words=\"last last-failed\"");
  fl_cli_printf(" ;;\n");
}

static void print_verb_names(const char *sign) {
  for (size_t i = 0; fl_cli_verbs[i]; i++)
    fl_cli_printf("%s%s", i ? sign : "", fl_cli_verbs[i]->name);
}

static void print_bash(void) {
  fl_cli_printf(
      "# bash completion of flowlua: source <(flowlua completion bash)\n"
      "_flowlua() {\n"
      "  local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
      "  local verb=\"\" options=\"\" words=\"\" files=\"\" i\n"
      "  local verbs=\"");
  print_verb_names(" ");
  fl_cli_printf("\"\n"
                "  case \"$before\" in\n");
  each_value(print_bash_value);
  fl_cli_printf("  esac\n"
                "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                "    case \" $verbs \" in *\" ${COMP_WORDS[i]} \"*) verb=\"${COMP_WORDS[i]}\"; "
                "break ;; esac\n"
                "    case \"${COMP_WORDS[i]}\" in -*) ;; *.lua|*/*) verb=run; break ;; esac\n"
                "  done\n"
                "  case \"$verb\" in\n"
                "    \"\") options=\"");
  print_option_words(&fl_cli_verb_version);
  fl_cli_printf("\"; words=\"$verbs\"; files=-f ;;\n");
  for (size_t i = 0; fl_cli_verbs[i]; i++) print_bash_words(fl_cli_verbs[i]);
  fl_cli_printf("  esac\n"
                "  case \"$word\" in -*) words=\"$options\"; files=\"\" ;; esac\n"
                "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                "  if [ -n \"$files\" ]; then\n"
                "    compopt -o filenames 2>/dev/null\n"
                "    COMPREPLY+=($(compgen $files -- \"$word\"))\n"
                "  fi\n"
                "}\n"
                "complete -F _flowlua flowlua\n");
}

// ------------------------------------------------------------------------------------- zsh

// Within single quotes, where [ ] and : mean something to _arguments.
static void print_zsh_text(const char *text) {
  for (const char *p = text; *p; p++) {
    if (*p == '\'')
      fl_cli_printf("'\\''");
    else
      fl_cli_printf("%s%c", strchr("[]:\\", *p) ? "\\" : "", *p);
  }
}

static void print_zsh_option(const fl_cli_option *o) {
  fl_cli_printf("        '*--%s%s[", o->name, o->value ? "=" : "");
  print_zsh_text(o->help);
  fl_cli_printf("]");
  if (o->value) {
    fl_cli_printf(":%s:", o->value);
    if (o->choices)
      fl_cli_printf("(%s)", o->choices);
    else if (takes_path(o))
      fl_cli_printf("%s", strcmp(o->value, "DIR") == 0 ? "_files -/" : "_files");
  }
  fl_cli_printf("' \\\n");
}

static void print_zsh_verb(const fl_cli_verb *verb) {
  const char *kind = verb->word_kind ? verb->word_kind : "";
  fl_cli_printf("    %s)\n      _arguments -s \\\n", verb->name);
  for (const fl_cli_option *o = verb->options; o && o->name; o++) print_zsh_option(o);
  for (const fl_cli_option *o = fl_cli_global_options; o->name; o++) print_zsh_option(o);
  if (strcmp(kind, "file") == 0)
    fl_cli_printf("        '*:file:_files'\n");
  else if (strcmp(kind, "dir") == 0)
    fl_cli_printf("        '*:folder:_files -/'\n");
  else if (strcmp(kind, "shell") == 0)
    fl_cli_printf("        '1:shell:(bash zsh fish)'\n");
  else if (strcmp(kind, "run") == 0)
    fl_cli_printf("        '1:run:(last last-failed)' '*::: '\n");
  else if (strcmp(kind, "verb") == 0)
    fl_cli_printf("        '1:verb:(%s", ""), print_verb_names(" "), fl_cli_printf(")'\n");
  else
    fl_cli_printf("        '*::: '\n");
  fl_cli_printf("      ;;\n");
}

static void print_zsh(void) {
  fl_cli_printf("#compdef flowlua\n"
                "# zsh completion of flowlua: flowlua completion zsh > \"${fpath[1]}/_flowlua\"\n"
                "_flowlua() {\n"
                "  local -a verbs\n"
                "  verbs=(\n");
  for (size_t i = 0; fl_cli_verbs[i]; i++) {
    fl_cli_printf("    '%s:", fl_cli_verbs[i]->name);
    print_zsh_text(fl_cli_verbs[i]->summary);
    fl_cli_printf("'\n");
  }
  fl_cli_printf(
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe -t verbs verb verbs\n"
      "    _files -g '*.lua'\n"
      "    return\n"
      "  fi\n"
      "  local verb=$words[2]\n"
      "  if [[ -z ${(M)verbs:#$verb:*} ]]; then verb=run; else shift words; (( CURRENT-- )); fi\n"
      "  case $verb in\n");
  for (size_t i = 0; fl_cli_verbs[i]; i++) print_zsh_verb(fl_cli_verbs[i]);
  fl_cli_printf("  esac\n"
                "}\n"
                "if [ \"$funcstack[1]\" = _flowlua ]; then _flowlua \"$@\"; else compdef _flowlua "
                "flowlua; fi\n");
}

// ------------------------------------------------------------------------------------- fish

static void print_fish_text(const char *text) {
  for (const char *p = text; *p; p++) fl_cli_printf("%s%c", strchr("'\\", *p) ? "\\" : "", *p);
}

static void print_fish_option(const char *condition, const fl_cli_option *o) {
  fl_cli_printf("complete -c flowlua%s -l %s", condition, o->name);
  if (o->value) fl_cli_printf(" -r%s", takes_path(o) ? " -F" : " -f");
  if (o->choices) fl_cli_printf(" -a '%s'", o->choices);
  fl_cli_printf(" -d '");
  print_fish_text(o->help);
  fl_cli_printf("'\n");
}

static void print_fish(void) {
  fl_cli_printf("# fish completion of flowlua: flowlua completion fish | source\n");
  for (size_t i = 0; fl_cli_verbs[i]; i++) {
    fl_cli_printf("complete -c flowlua -n __fish_use_subcommand -a %s -d '", fl_cli_verbs[i]->name);
    print_fish_text(fl_cli_verbs[i]->summary);
    fl_cli_printf("'\n");
  }
  for (const fl_cli_option *o = fl_cli_global_options; o->name; o++) print_fish_option("", o);
  for (size_t i = 0; fl_cli_verbs[i]; i++) {
    const fl_cli_verb *verb = fl_cli_verbs[i];
    const char *kind = verb->word_kind ? verb->word_kind : "";
    fl_cli_text condition = {0};
    fl_cli_text_addf(&condition, " -n '__fish_seen_subcommand_from %s'", verb->name);
    for (const fl_cli_option *o = verb->options; o && o->name; o++)
      print_fish_option(fl_cli_text_cstr(&condition), o);
    const char *words = strcmp(kind, "run") == 0     ? "last last-failed"
                        : strcmp(kind, "shell") == 0 ? "bash zsh fish"
                                                     : NULL;
    if (words)
      fl_cli_printf("complete -c flowlua%s -f -a '%s'\n", fl_cli_text_cstr(&condition), words);
    fl_cli_text_deinit(&condition);
  }
}

static int completion_run(const fl_cli *cli) {
  const char *shell = cli->words[0];
  if (strcmp(shell, "bash") == 0)
    print_bash();
  else if (strcmp(shell, "zsh") == 0)
    print_zsh();
  else if (strcmp(shell, "fish") == 0)
    print_fish();
  else
    return fl_cli_usage("unknown shell '%s': expected bash, zsh or fish", shell);
  return FL_EXIT_OK;
}

const fl_cli_verb fl_cli_verb_completion = {
    .name = "completion",
    .words = "bash|zsh|fish",
    .summary = "print a script that completes verbs and options in a shell",
    .word_count_min = 1,
    .word_count_max = 1,
    .word_kind = "shell",
    .example = "source <(flowlua completion bash)",
    .run = completion_run,
};
