// The public views, as SQL: read-only, in names and text states, for any SQLite tool. Stable: a
// column may be added, never renamed or removed. docs/data.md lists them.
#include "store/store_internal.h"

// clang-format off
#define TIME(column) "strftime('%Y-%m-%dT%H:%M:%fZ'," column "/1000.0,'unixepoch')"
#define TEXT_OF(id)  "(SELECT text FROM value WHERE id=" id ")"

// The state of a node as its last attempt `a` and its last decision `d` tell it: the later holds.
// 8..: a final state that needs no attempt; 3, 1: retrying, queued (base/state.h).
#define ATTEMPT_STATE                                                                             \
  "CASE a.state WHEN 0 THEN 1 WHEN 1 THEN 2 WHEN 2 THEN 5 WHEN 6 THEN 10 WHEN 7 THEN 7"           \
  " ELSE CASE WHEN a.retry_at_ms IS NULL THEN 6 ELSE 3 END END"
#define DECIDED "(d.seq>max(coalesce(a.seq,0),coalesce(a.end_seq,0)))"

const char fl_store_drop_views_sql[] =
    "DROP VIEW IF EXISTS v_run;"
    "DROP VIEW IF EXISTS v_node_name;"
    "DROP VIEW IF EXISTS v_node;"
    "DROP VIEW IF EXISTS v_edge;"
    "DROP VIEW IF EXISTS v_attempt;"
    "DROP VIEW IF EXISTS v_context;"
    "DROP VIEW IF EXISTS v_decision;"
    "DROP VIEW IF EXISTS v_event;"
    "DROP VIEW IF EXISTS v_epoch;"
    "DROP VIEW IF EXISTS v_script;"
    "DROP VIEW IF EXISTS v_breakpoint;"
    "DROP VIEW IF EXISTS v_proposal;";

const char fl_store_views_sql[] =
    "CREATE VIEW v_run AS SELECT r.id AS id, r.flow AS flow,"
    " 'sha256:'||lower(hex(c.digest)) AS version, s.name AS status, " TIME("r.time_ms") " AS time,"
    " r.\"trigger\" AS \"trigger\", " TEXT_OF("r.params") " AS params,"
    " " TEXT_OF("r.vars") " AS vars, o.id AS replay_of, " TIME("r.created_ms") " AS created_at,"
    " " TIME("r.started_ms") " AS started_at, " TIME("r.ended_ms") " AS ended_at,"
    " coalesce(r.ended_ms,CAST(unixepoch('now')*1000 AS INTEGER))-r.started_ms AS duration_ms,"
    " r.resumes AS resumes, p.id AS parent,"
    " (SELECT name FROM definition_node n WHERE n.definition=p.definition"
    "   AND n.node=r.parent_node) AS parent_node,"
    " r.error AS error, r.owner AS owner, nullif(r.lease_ms,0) IS NOT NULL AS leased,"
    " " TIME("nullif(r.lease_ms,0)") " AS lease_until, r.epoch AS epoch, r.cancel AS cancel,"
    " r.selection AS selection, " TIME("r.interval_from_ms") " AS interval_from,"
    " " TIME("r.interval_to_ms") " AS interval_to, d.node_count AS node_count, f.id AS fork_of,"
    " r.origin AS origin"
    " FROM run r JOIN run_state s ON s.id=r.state LEFT JOIN script c ON c.id=r.script"
    " LEFT JOIN definition d ON d.id=r.definition LEFT JOIN run o ON o.row=r.replay_of"
    " LEFT JOIN run p ON p.row=r.parent_run LEFT JOIN run f ON f.row=r.fork_of;"

    // Every node of every run: those of the definition, then the instances of maps.
    "CREATE VIEW v_node_name AS SELECT r.row AS run_row, r.id AS run, n.node AS node,"
    " n.name AS name, n.type AS type, n.parents AS parents, h.name AS hook, NULL AS map,"
    " NULL AS position, NULL AS item, n.removed IS NOT NULL AS removed,"
    " coalesce(n.position,n.node) AS place"
    " FROM run r JOIN definition_node n ON n.definition=r.definition"
    " LEFT JOIN hook h ON h.id=n.hook"
    " UNION ALL SELECT r.row, r.id, i.node, i.name, coalesce(i.type,'instance'), '[]', '',"
    " (SELECT name FROM definition_node n WHERE n.definition=r.definition AND n.node=i.map_node),"
    " i.position, " TEXT_OF("i.item") ", 0, NULL FROM run r JOIN instance i ON i.run=r.row;"

    "CREATE VIEW v_node AS SELECT n.run AS run, n.node AS node, n.name AS name, n.type AS type,"
    " n.hook AS hook, n.map AS map, n.position AS position, n.item AS item,"
    " (SELECT name FROM node_state WHERE id=CASE WHEN " DECIDED " IS 1 OR a.run IS NULL"
    "   THEN coalesce(d.state,0) ELSE " ATTEMPT_STATE " END) AS status,"
    " (SELECT name FROM reason WHERE id=CASE WHEN " DECIDED " IS 1 OR a.run IS NULL"
    "   THEN d.reason ELSE coalesce(a.end_reason,a.reason) END) AS reason,"
    " CASE WHEN " DECIDED " IS 1 OR a.run IS NULL THEN d.detail END AS detail,"
    " (SELECT count(*) FROM attempt x WHERE x.run=n.run_row AND x.node=n.node"
    "   AND x.synthetic IS NULL) AS attempts,"
    " " TIME("a.started_ms") " AS started_at, " TIME("a.ended_ms") " AS ended_at,"
    " a.ended_ms-a.started_ms AS duration_ms, a.exit_code AS exit_code, a.signal AS signal,"
    " a.error AS error, " TEXT_OF("a.outputs") " AS outputs,"
    " " TEXT_OF("a.vars_out") " AS vars,"
    " (SELECT coalesce(k.text," TEXT_OF("k.value") ") FROM checkpoint k"
    "   WHERE k.run=n.run_row AND k.node=n.node) AS checkpoint,"
    " g.done AS progress_done, g.total AS progress_total, g.text AS progress_text,"
    " a.cpu_us/1000 AS cpu_ms, a.rss_max_bytes AS rss_max_bytes, n.removed AS removed,"
    " n.place AS place"
    " FROM v_node_name n"
    " LEFT JOIN attempt a ON a.run=n.run_row AND a.node=n.node AND a.number="
    "  (SELECT max(number) FROM attempt x WHERE x.run=n.run_row AND x.node=n.node)"
    " LEFT JOIN decision d ON d.run=n.run_row AND d.node=n.node AND d.seq="
    "  (SELECT max(seq) FROM decision y WHERE y.run=n.run_row AND y.node=n.node)"
    " LEFT JOIN progress g ON g.run=n.run_row AND g.node=n.node;"

    "CREATE VIEW v_edge AS SELECT r.id AS run, p.name AS parent, n.name AS node"
    " FROM run r JOIN definition_node n ON n.definition=r.definition AND n.removed IS NULL"
    " JOIN json_each(n.parents) j"
    " JOIN definition_node p ON p.definition=r.definition AND p.node=j.value;"

    "CREATE VIEW v_attempt AS SELECT r.id AS run, a.node AS node,"
    " coalesce(n.name,i.name) AS name, a.number AS number, s.name AS status, b.name AS reason,"
    " e.name AS end_reason, a.epoch AS epoch, a.seq AS seq, a.end_seq AS end_seq,"
    " " TIME("a.claimed_ms") " AS claimed_at, " TIME("a.started_ms") " AS started_at,"
    " " TIME("a.ended_ms") " AS ended_at, a.ended_ms-a.started_ms AS duration_ms,"
    " a.exit_code AS exit_code, a.signal AS signal, a.error AS error,"
    " a.synthetic IS NOT NULL AS synthetic, a.pid AS pid, " TIME("a.retry_at_ms") " AS retry_at,"
    " c.id AS child_run, a.cpu_us AS cpu_us, a.rss_max_bytes AS rss_max_bytes,"
    " a.log_path AS log_path, a.log_offset AS log_offset, a.log_size AS log_size,"
    " a.log_total AS log_total"
    " FROM run r JOIN attempt a ON a.run=r.row JOIN attempt_state s ON s.id=a.state"
    " LEFT JOIN reason b ON b.id=a.reason LEFT JOIN reason e ON e.id=a.end_reason"
    " LEFT JOIN definition_node n ON n.definition=r.definition AND n.node=a.node"
    " LEFT JOIN instance i ON i.run=a.run AND i.node=a.node"
    " LEFT JOIN run c ON c.row=a.child_run;"

    // What every attempt saw and left.
    "CREATE VIEW v_context AS SELECT r.id AS run, a.node AS node, coalesce(n.name,i.name) AS name,"
    " a.number AS number, " TEXT_OF("q.params") " AS run_params,"
    " " TEXT_OF("a.params") " AS params, " TEXT_OF("a.vars_in") " AS vars,"
    " " TEXT_OF("a.vars_out") " AS vars_out, " TEXT_OF("a.vars_by") " AS vars_by,"
    " " TEXT_OF("a.outputs") " AS outputs, " TEXT_OF("a.recorded") " AS recorded,"
    " " TEXT_OF("coalesce(a.item,i.item)") " AS item"
    " FROM run r JOIN attempt a ON a.run=r.row"
    " LEFT JOIN run_input q ON q.run=r.row AND q.epoch="
    "  (SELECT max(epoch) FROM run_input z WHERE z.run=r.row AND z.epoch<=a.epoch)"
    " LEFT JOIN definition_node n ON n.definition=r.definition AND n.node=a.node"
    " LEFT JOIN instance i ON i.run=a.run AND i.node=a.node;"

    "CREATE VIEW v_decision AS SELECT r.id AS run, d.node AS node, coalesce(n.name,i.name) AS name,"
    " d.seq AS seq, d.epoch AS epoch, s.name AS status, b.name AS reason, b.text AS text,"
    " d.detail AS detail, " TIME("d.at_ms") " AS at"
    " FROM run r JOIN decision d ON d.run=r.row JOIN node_state s ON s.id=d.state"
    " LEFT JOIN reason b ON b.id=d.reason"
    " LEFT JOIN definition_node n ON n.definition=r.definition AND n.node=d.node"
    " LEFT JOIN instance i ON i.run=d.run AND i.node=d.node;"

    // What happened, one row an event; ORDER BY seq within a run. Attempts and decisions count on
    // one counter; a run's start and end stand before and after all of them.
    "CREATE VIEW v_event AS"
    " SELECT id AS run, 0 AS seq, created_at AS at, 'run_created' AS event, NULL AS node,"
    "  NULL AS attempt, 'queued' AS status, \"trigger\" AS reason, NULL AS detail FROM v_run"
    " UNION ALL SELECT run, seq, claimed_at, 'node_started', name, number, 'running', reason, NULL"
    "  FROM v_attempt WHERE NOT synthetic"
    " UNION ALL SELECT run, end_seq, ended_at,"
    "  CASE WHEN retry_at IS NULL THEN 'node_finished' ELSE 'node_retrying' END, name, number,"
    "  status, end_reason, error FROM v_attempt WHERE end_seq IS NOT NULL"
    " UNION ALL SELECT run, seq, at, 'node_decided', name, NULL, status, reason, detail"
    "  FROM v_decision"
    " UNION ALL SELECT id, 9223372036854775807, ended_at, 'run_finished', NULL, NULL, status, NULL,"
    "  error FROM v_run WHERE ended_at IS NOT NULL;"

    "CREATE VIEW v_epoch AS SELECT r.id AS run, e.epoch AS epoch, e.owner AS owner,"
    " e.supervisor AS supervisor, " TIME("e.at_ms") " AS at, " TEXT_OF("e.patch") " AS patch,"
    " e.reason AS reason, e.author AS author FROM run r JOIN epoch e ON e.run=r.row;"

    "CREATE VIEW v_script AS SELECT r.id AS run, 'sha256:'||lower(hex(c.digest)) AS version,"
    " c.dir AS dir, p.position AS position, p.path AS path, s.data AS data"
    " FROM run r JOIN script c ON c.id=r.script JOIN script_source p ON p.script=c.id"
    " JOIN source s ON s.id=p.source;"

    // Where runs stopped: the first failure of an epoch and those that followed it.
    "CREATE VIEW v_breakpoint AS SELECT r.id AS run, b.seq AS seq, b.epoch AS epoch,"
    " coalesce(n.name,i.name) AS node, b.number AS attempt, " TIME("b.at_ms") " AS at"
    " FROM run r JOIN breakpoint b ON b.run=r.row"
    " LEFT JOIN definition_node n ON n.definition=r.definition AND n.node=b.node"
    " LEFT JOIN instance i ON i.run=b.run AND i.node=b.node;"

    "CREATE VIEW v_proposal AS SELECT r.id AS run, p.number AS number, p.epoch AS epoch,"
    " " TIME("p.at_ms") " AS at, p.origin AS origin, p.reason AS reason,"
    " " TEXT_OF("p.patch") " AS patch, p.automatic IS NOT NULL AS automatic,"
    " p.applied_epoch AS applied_epoch FROM run r JOIN proposal p ON p.run=r.row;";
// clang-format on
