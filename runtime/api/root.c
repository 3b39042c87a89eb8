// The run that a sub-flow's run is a part of, and what it calls the nodes of it.
#include "api/engine.h"

typedef struct call_name {
  uint32_t number;
  char *name;
} call_name;

static bool see_node(void *ud, const fl_definition_node_row *row) {
  call_name *c = ud;
  if (row->node == c->number) c->name = fl_strdup(row->name);
  return !c->name;
}

static bool see_item(void *ud, const fl_item_row *row) {
  call_name *c = ud;
  if (row->node == c->number) c->name = fl_strdup(row->name);
  return !c->name;
}

static char *put_before(char *path, const char *call) {
  fl_buf longer;
  fl_buf_init(&longer, 1u << 20);
  fl_buf_addf(&longer, "%s/%s", call ? call : "?", path);
  free(path);
  return fl_buf_take(&longer);
}

char *fl_find_root(fl_store *s, const fl_run_row *run, char root_out[FL_RUN_ID_SIZE]) {
  fl_run_row parent = {0};
  fl_error ignored;
  char *path = fl_strdup("");
  int64_t up = run->parent_run;
  call_name c = {.number = run->parent_node};
  snprintf(root_out, FL_RUN_ID_SIZE, "%s", run->id);
  while (up && !fl_store_get_run(s, up, &parent, &ignored)) {
    fl_code rc = fl_store_each_definition_node(s, parent.definition, see_node, &c, &ignored);
    if (!rc && !c.name) rc = fl_store_each_item(s, parent.row, see_item, &c, &ignored);
    path = put_before(path, rc ? NULL : c.name);
    free(c.name);
    snprintf(root_out, FL_RUN_ID_SIZE, "%s", parent.id);
    up = parent.parent_run;
    c = (call_name){.number = parent.parent_node};
    fl_run_row_deinit(&parent);
  }
  return path;
}
