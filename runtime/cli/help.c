// flowlua help [VERB]: everything it says comes from the verbs' rows.
#include "manual.h"

#define BELOW_INDENT 10

static void print_title(const char *text) {
  fl_cli_printf("%s%s%s\n", fl_cli_style_text(FL_STYLE_BOLD), text,
                fl_cli_style_text(FL_STYLE_NONE));
}

// "-j, --jobs N"
static size_t option_width(const fl_cli_option *o) {
  return strlen("-j, --") + strlen(o->name) + (o->value ? 1 + strlen(o->value) : 0);
}

static void print_options(const char *title, const fl_cli_option *options, size_t width) {
  if (!options || !options->name) return;
  size_t columns = fl_cli_out_columns();
  fl_cli_printf("\n");
  print_title(title);
  for (const fl_cli_option *o = options; o->name; o++) {
    char letter = fl_cli_name_letter(o->name);
    if (letter)
      fl_cli_printf("  -%c, --", letter);
    else
      fl_cli_printf("      --");
    fl_cli_printf("%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    // In a narrow window the sentence stands below.
    bool below = columns > 0 && width + 4 > columns / 2;
    fl_cli_printf(below ? "\n" : "");
    fl_cli_text_pad(fl_cli_out(), below ? BELOW_INDENT : width - option_width(o) + 2);
    fl_cli_printf("%s\n", o->help);
  }
}

static void print_examples(const char *example) {
  for (const char *p = example; *p;) {
    size_t n = strcspn(p, "\n");
    fl_cli_printf("  %.*s\n", (int)n, p);
    p += n + (p[n] == '\n');
  }
}

static void print_all(void) {
  size_t width = 0;
  for (size_t i = 0; fl_cli_verbs[i]; i++) {
    size_t n = strlen(fl_cli_verbs[i]->name);
    if (n > width) width = n;
  }
  fl_cli_printf(
      "FlowLua %s runs pipelines written in Lua, and continues them where they broke.\n\n",
      FL_VERSION);
  print_title("Usage");
  fl_cli_printf("  flowlua FILE [options]      the same as: flowlua run FILE [options]\n"
                "  flowlua VERB [options]\n\n");
  print_title("Verbs");
  for (size_t i = 0; fl_cli_verbs[i]; i++)
    fl_cli_printf("  %-*s  %s\n", (int)width, fl_cli_verbs[i]->name, fl_cli_verbs[i]->summary);
  print_options("Options of every verb", fl_cli_global_options, 18);
  fl_cli_printf("\n");
  print_title("Exit codes");
  fl_cli_printf(
      "  0 succeeded   1 the run failed   2 wrong usage or script   3 the store or the system\n"
      "  4 waiting     130, 143 interrupted: flowlua resume continues\n\n"
      "flowlua help VERB tells more, with an example; flowlua help TOPIC what the reference says\n"
      "of a node type, an option, a function: shell, retry_on, ctx.\n");
}

void fl_cli_help_print(const fl_cli_verb *verb) {
  if (!verb) {
    print_all();
    return;
  }
  size_t width = 0;
  const fl_cli_option *tables[] = {verb->options, fl_cli_global_options};
  for (size_t i = 0; i < 2; i++)
    for (const fl_cli_option *o = tables[i]; o && o->name; o++)
      if (option_width(o) > width) width = option_width(o);
  fl_cli_printf("flowlua %s: %s\n\n", verb->name, verb->summary);
  print_title("Usage");
  fl_cli_printf("  flowlua %s%s%s [options]\n", verb->name, *verb->words ? " " : "", verb->words);
  print_options("Options", verb->options, width);
  print_options("Options of every verb", fl_cli_global_options, width);
  fl_cli_printf("\n");
  print_title("Example");
  print_examples(verb->example);
}

static int help_run(const fl_cli *cli) {
  if (cli->word_count == 0) {
    fl_cli_help_print(NULL);
    return FL_EXIT_OK;
  }
  const fl_cli_verb *verb = fl_cli_verb_find(cli->words[0]);
  if (!verb) {
    const char *names[64];
    size_t count = 0;
    if (fl_cli_manual_print(cli->words[0])) return FL_EXIT_OK;
    for (; fl_cli_verbs[count] && count < 64; count++) names[count] = fl_cli_verbs[count]->name;
    const char *meant = fl_suggest(cli->words[0], names, count);
    if (meant) return fl_cli_usage("unknown verb '%s', did you mean '%s'?", cli->words[0], meant);
    char *topic = fl_cli_manual_suggest(cli->words[0]);
    if (topic)
      fl_cli_usage("no verb, and nothing in the reference, is called '%s'; did you mean '%s'?",
                   cli->words[0], topic);
    else
      fl_cli_usage("unknown verb '%s' (flowlua help lists them)", cli->words[0]);
    free(topic);
    return FL_EXIT_USAGE;
  }
  fl_cli_help_print(verb);
  return FL_EXIT_OK;
}

const fl_cli_verb fl_cli_verb_help = {
    .name = "help",
    .words = "[VERB|TOPIC]",
    .summary = "tell what a verb does, or what the reference says (shell, retry_on, ctx, ...)",
    .word_count_max = 1,
    .example = "flowlua help resume\n"
               "flowlua help retry_on",
    .run = help_run,
};
