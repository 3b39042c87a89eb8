// Every limit of the engine, with its reason. A limit that users may raise is an option with this
// as its default.
#pragma once

#define FL_NODES_PER_FLOW_MAX     4000000u     // 1,000,000 are promised; more would pass 1 GiB
#define FL_VALUE_SIZE_MAX         (16u << 20)  // one value: outputs, vars, a checkpoint, params
#define FL_VALUE_SHORT_MAX        128          // shorter ones are not looked for: 40 bytes of index
#define FL_VALUE_INLINE_MAX       (256u << 10) // larger values are files beside the database
#define FL_VALUE_DEPTH_MAX        64           // nesting of lists and maps
#define FL_ERROR_TEXT_MAX         4096         // bytes of an attempt's error that are kept
#define FL_ID_SIZE_MAX            128          // flow keys, node names, run ids
#define FL_LOG_SIZE_DEFAULT       (50u << 20)  // output kept of one attempt
#define FL_LOG_SPILL              (32u << 10)  // output past this gets a file of its own
#define FL_GRACE_MS_DEFAULT       10000        // TERM to KILL
#define FL_ALARM_MS_DEFAULT       60000        // KILL to the alarm, when something is still there
#define FL_LOST_COUNT_MAX_DEFAULT 5            // attempts that may be lost before the node fails
#define FL_RETRY_COUNT_MAX        100          // retries of a node
#define FL_INLINE_LIVE_MAX        10000        // inline nodes waiting at once
#define FL_CLAIM_AHEAD_MAX        64           // nodes handed over before a slot is free
#define FL_WORKER_MEMORY_DEFAULT  (1ull << 30) // address space a Lua worker may add
#define FL_LOAD_MS_DEFAULT        20000        // CPU time; 1,000,000 nodes are loaded in 4 s
#define FL_LOAD_MEMORY_MAX        (768u << 20) // 1,000,000 nodes take 300 MiB
#define FL_HOOK_MS_DEFAULT        2000         // CPU time of `when`, a template, ...
#define FL_ADVISE_MS              5000         // of an adviser, and of a patch that is code
#define FL_HOOK_MEMORY_MAX        (256u << 20)
#define FL_INLINE_MEMORY_DEFAULT  (256u << 20)
#define FL_SCRIPTS_KEPT_MAX       32          // loaded scripts that nobody needs: a console's flows
#define FL_SCRIPTS_KEPT_BYTES     (64u << 20) // all of these; a small one takes 640 KiB
#define FL_PATCH_SIZE_MAX         (64u << 20) // text of a patch in a file
#define FL_FRAME_SIZE_MAX         (64u << 20) // one message between our processes
#define FL_CHANGES_MAX            1000000     // numbered events that are kept ...
#define FL_CHANGES_MIN            10000       // ... these in any case ...
#define FL_CHANGES_AGE_MS         604800000   // ... others for a week
