// flowlua completion bash|zsh|fish: a script that asks `flowlua --complete` at each Tab.
#include "cli.h"

static const char bash[] =
    "# bash completion of flowlua: source <(flowlua completion bash)\n"
    "_flowlua() {\n"
    "  local i word own cut=0 glue='' kind text what words=() plain=''\n"
    "  # bash takes \"--jobs=4\" apart at \"=\", and \"a:b\" at \":\".\n"
    "  for ((i = 1; i <= COMP_CWORD; i++)); do\n"
    "    word=${COMP_WORDS[i]}\n"
    "    if [[ ${#words[@]} -gt 0 && ( $word == [=:] || $glue ) ]]; then\n"
    "      words[-1]+=$word\n"
    "    else\n"
    "      words+=(\"$word\")\n"
    "    fi\n"
    "    if [[ $word == [=:] ]]; then glue=1; else glue=''; fi\n"
    "  done\n"
    "  own=${COMP_WORDS[COMP_CWORD]}\n"
    "  if [[ $own == [=:] ]]; then own=''; fi\n"
    "  cut=$((${#words[-1]} - ${#own}))\n"
    "  # As it was typed, a blank has its backslash.\n"
    "  words=(\"${words[@]//\\\\/}\")\n"
    "  if [[ ${words[-1]} == [\\'\\\"]* ]]; then plain=1 words[-1]=${words[-1]:1}; fi\n"
    "  COMPREPLY=()\n"
    "  while IFS=$'\\t' read -r kind text what; do\n"
    "    case $kind in\n"
    "      w) case $text in *[=./]) compopt -o nospace ;; esac\n"
    "        text=${text:cut}\n"
    "        if [[ ! $plain ]]; then printf -v text %q \"$text\"; fi\n"
    "        COMPREPLY+=(\"$text\") ;;\n"
    "      f) compopt -o filenames\n"
    "        while IFS= read -r word; do\n"
    "          if [[ -d $word || $word == *\"$text\" ]]; then COMPREPLY+=(\"$word\"); fi\n"
    "        done < <(compgen -f -- \"$own\") ;;\n"
    "      d) compopt -o filenames\n"
    "        while IFS= read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -d -- \"$own\") "
    ";;\n"
    "    esac\n"
    "  done < <(command \"${COMP_WORDS[0]}\" --complete -- \"${words[@]}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _flowlua flowlua\n";

static const char zsh[] =
    "#compdef flowlua\n"
    "# zsh completion of flowlua: flowlua completion zsh > \"${fpath[1]}/_flowlua\"\n"
    "_flowlua() {\n"
    "  local line end=none\n"
    "  local -a fields whole open\n"
    "  for line in ${(f)\"$(command ${(Q)words[1]} --complete -- \"${(@Q)words[2,CURRENT]}\" "
    "2>/dev/null)\"}; do\n"
    "    fields=(\"${(@s:\t:)line}\")\n"
    "    case $fields[1] in\n"
    "      w) line=\"${fields[2]//:/\\\\:}:$fields[3]\"\n"
    "        case $fields[2] in *[=./]) open+=($line) ;; *) whole+=($line) ;; esac ;;\n"
    "      f) end=$fields[2] ;;\n"
    "      d) end=/ ;;\n"
    "    esac\n"
    "  done\n"
    "  (( $#whole )) && _describe -V -t values value whole\n"
    "  (( $#open )) && _describe -V -t values value open -S ''\n"
    "  if [[ $end != none ]]; then\n"
    "    compset -P '*='\n"
    "    if [[ $end == / ]]; then _files -/\n"
    "    elif [[ -n $end ]]; then _files -g \"*$end\"\n"
    "    else _files; fi\n"
    "  fi\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _flowlua ]; then _flowlua \"$@\"; else compdef _flowlua flowlua; "
    "fi\n";

static const char fish[] =
    "# fish completion of flowlua: flowlua completion fish | source\n"
    "function __flowlua_complete\n"
    "  set -l words (commandline -opc) (commandline -ct)\n"
    "  for line in (command $words[1] --complete -- $words[2..-1] 2>/dev/null)\n"
    "    set -l fields (string split \\t -- $line)\n"
    "    switch $fields[1]\n"
    "      case w\n"
    "        printf '%s\\t%s\\n' $fields[2] $fields[3]\n"
    "      case f\n"
    "        __fish_complete_suffix \"$fields[2]\"\n"
    "      case d\n"
    "        __fish_complete_directories (commandline -ct)\n"
    "    end\n"
    "  end\n"
    "end\n"
    "complete -c flowlua -f -a '(__flowlua_complete)'\n";

static int completion_run(const fl_cli *cli) {
  const char *shell = cli->words[0];
  if (strcmp(shell, "bash") == 0)
    fl_cli_printf("%s", bash);
  else if (strcmp(shell, "zsh") == 0)
    fl_cli_printf("%s", zsh);
  else if (strcmp(shell, "fish") == 0)
    fl_cli_printf("%s", fish);
  else
    return fl_cli_usage("unknown shell '%s': expected bash, zsh or fish", shell);
  return FL_EXIT_OK;
}

const fl_cli_verb fl_cli_verb_completion = {
    .name = "completion",
    .words = "bash|zsh|fish",
    .summary = "print what completes words in a shell: verbs, options, runs, nodes",
    .word_count_min = 1,
    .word_count_max = 1,
    .example = "source <(flowlua completion bash)",
    .run = completion_run,
};
