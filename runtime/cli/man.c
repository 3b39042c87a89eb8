// flowlua --man: the page flowlua(1), from the verbs' rows, as the build installs it.
#include "cli.h"

// Text as roff prints it: no request, no escape, and dashes that can be copied.
static void print_roff(const char *text) {
  if (*text == '.' || *text == '\'') fl_cli_printf("\\&");
  for (const char *p = text; *p; p++) {
    if (*p == '\\')
      fl_cli_printf("\\e");
    else
      fl_cli_printf("%s%c", *p == '-' ? "\\" : "", *p);
    if (*p == '\n' && (p[1] == '.' || p[1] == '\'')) fl_cli_printf("\\&");
  }
}

static void print_options(const fl_cli_option *options) {
  for (const fl_cli_option *o = options; o && o->name; o++) {
    char letter = fl_cli_name_letter(o->name);
    fl_cli_printf(".TP\n");
    if (letter) fl_cli_printf("\\fB\\-%c\\fR, ", letter);
    fl_cli_printf("\\fB\\-\\-");
    print_roff(o->name);
    fl_cli_printf("\\fR");
    if (o->value) fl_cli_printf(" \\fI"), print_roff(o->value), fl_cli_printf("\\fR");
    fl_cli_printf("\n");
    print_roff(o->help);
    fl_cli_printf("\n");
  }
}

static void print_verb(const fl_cli_verb *verb) {
  fl_cli_printf(".SS flowlua %s ", verb->name);
  print_roff(verb->words);
  fl_cli_printf("\n.PP\n");
  print_roff(verb->summary);
  fl_cli_printf(".\n");
  print_options(verb->options);
  fl_cli_printf(".PP\nFor example:\n.PP\n.RS\n.nf\n");
  print_roff(verb->example);
  fl_cli_printf("\n.fi\n.RE\n");
}

static const struct {
  const char *name, *text;
} variables[] = {
    {"FLOWLUA_STATE", "the state directory, where --state does not say it"},
    {"FLOWLUA_PATH", "folders, with : between, in which modules and node types are looked for"},
    {"FLOWLUA_LOG", "from which level on `log` prints: debug, info, warn, error or off"},
    {"FLOWLUA_LUA", "a folder with the language's own files, as --lua"},
    {"NO_COLOR", "when it is set: no colours"},
    {"TMPDIR", "where an exported run is unpacked to be looked at (/tmp)"},
};

static const struct {
  const char *code, *text;
} codes[] = {
    {"0", "it succeeded"},
    {"1", "the run failed"},
    {"2", "wrong usage, or a wrong script"},
    {"3", "the store or the system refused"},
    {"4", "the run waits for a person or another flow"},
    {"130, 143", "interrupted, by INT or TERM: flowlua resume continues"},
};

void fl_cli_print_man(void) {
  fl_cli_printf(".TH FLOWLUA 1 \"\" \"FlowLua %s\" \"\"\n.ad l\n"
                ".SH NAME\nflowlua \\- run pipelines written in Lua, and continue them where they "
                "broke\n"
                ".SH SYNOPSIS\n\\fBflowlua\\fR \\fIFILE\\fR [\\fIoptions\\fR]\n.br\n"
                "\\fBflowlua\\fR \\fIVERB\\fR [\\fIoptions\\fR]\n"
                ".SH DESCRIPTION\n"
                "A pipeline (a flow) is a Lua script that declares nodes and what they depend on: "
                "commands, Lua functions, SQL, lists that are known only at run time, branches, "
                "other flows. \\fBflowlua\\fR \\fIFILE\\fR runs it. All that happens is kept in "
                "the state directory before it is told, so that a run that was broken off by "
                "anything is continued, mended or repeated.\n.PP\n"
                "\\fIRUN\\fR is the beginning or the last letters of a run's id, \\fBlast\\fR (the "
                "default), \\fBlast\\-1\\fR or \\fBlast\\-failed\\fR; \\fINODE\\fR a node, "
                "\\fBmap[3]\\fR an item of a map, \\fBcall/node\\fR a node of a flow that it "
                "calls.\n.SH VERBS\n",
                FL_VERSION);
  for (size_t i = 0; fl_cli_verbs[i]; i++) print_verb(fl_cli_verbs[i]);
  fl_cli_printf(".SH OPTIONS OF EVERY VERB\n");
  print_options(fl_cli_global_options);
  fl_cli_printf(".SH EXIT STATUS\n");
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    fl_cli_printf(".TP\n%s\n%s\n", codes[i].code, codes[i].text);
  fl_cli_printf(".SH ENVIRONMENT\n");
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
    fl_cli_printf(".TP\n.B %s\n", variables[i].name);
    print_roff(variables[i].text);
    fl_cli_printf("\n");
  }
  fl_cli_printf(".SH FILES\n.TP\n.I .flowlua\n"
                "the state directory: here, or the nearest one above; else it is made here\n"
                ".SH SEE ALSO\n.BR flowlua (3),\nand what is installed in "
                "share/doc/flowlua: the guide and the reference\n");
}
