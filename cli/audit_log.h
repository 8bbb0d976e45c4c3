/*
 * audit_log: one run of 'sauti audit log': which logs, whom to believe, what was found. Its parts
 * stand in files of their own and meet in struct audit_run:
 *
 *   audit_log.c     the command: options, the order of things, the report as text and JSON
 *   audit_trust.c   keys and quorum: --policy, or --directory and what its log says
 *   audit_jobs.c    the walk of one log by several threads
 *   audit_hooks.c   the table of those who take part in a run, in order
 *
 * Happy path: open the source; the directory's log first (with --directory: its key is given, all
 * others follow from its records); then each log that the source lists: checkpoint, its signatures
 * and quorum, LogOpened, the walk; hooks judge what is theirs; the report; exit code 4 if there is
 * any violation, else the error of what could not be looked at, else 0.
 */
#ifndef CLI_AUDIT_LOG_H
#define CLI_AUDIT_LOG_H

#include "certs/directory.h"
#include "cli/args.h"
#include "cli/source_open.h"
#include "replication/audit/walk.h"
#include "replication/log/tlog_policy.h"

/* One log of a run. */
struct audit_log {
	struct origin name;   /* as the source has it: an origin, or a branch */
	struct origin origin; /* .. of which log that is */
	bool directory;       /* the directory's own */
	/* Its checkpoint, as the source has it; empty: there is none. */
	struct buf note;
	/* It is of this log and signed by its key: checkpoint and cosigners are filled in, whether
	 * the quorum has signed or not. */
	bool trusted;
	struct tlog_verdict verdict;
	/* Index 0, as far as somebody vouches for it: the node key that signed it (with a
	 * directory alone). */
	bool opened;
	struct ed25519_public opener;
	struct buf opened_entry;
	bool walked; /* result is filled in */
	struct walk_result result;
	/* OK, or why it could not be looked at. */
	enum err err;
	struct errctx why;
};

struct audit_visit; /* audit_visit.c: state, history, page, ledger */

struct audit_run {
	struct cli *cli;
	const struct cli_args *args;
	struct source source;
	const char *source_text;
	struct findings *findings;
	uint64_t now_s; /* --now, or the clock */
	/* Whom to believe. At least one of the two is there. */
	struct tlog_policy *policy;    /* --policy; NULL */
	struct note_key directory_key; /* --directory; name "": not given */
	struct directory *directory;   /* folded as far as its log is sound; NULL: there is none */
	/* The logs, the directory's first, then by name. */
	struct audit_log *logs;
	size_t log_count;
	struct audit_visit *visit;
};

/* Who takes part in a run. Any function may be NULL. What is wrong with a log is a finding; an
 * error ends the run ("could not look"). */
struct audit_hook {
	/* The source is open, the list of logs is made, nothing is read. */
	enum err (*begin)(struct audit_run *run, struct errctx *ctx);
	/* The checkpoint of a log is trusted and judged; its walk comes next. May set from,
	 * from_root and mark of the walk. */
	enum err (*before)(struct audit_run *run, struct audit_log *log, struct walk_opts *walk,
		struct errctx *ctx);
	/* An entry of it (walk_entry); within the walk, in order. */
	enum err (*entry)(struct audit_run *run, const struct audit_log *log, uint64_t index,
		struct bytes entry);
	/* The log is walked, or could not be: log->walked, log->result. The directory's log is
	 * folded by then. */
	enum err (*after)(struct audit_run *run, struct audit_log *log, struct errctx *ctx);
	/* All logs are done, the report comes next. */
	enum err (*end)(struct audit_run *run, struct errctx *ctx);
	/* The report is printed, findings are final: pages, state. */
	enum err (*finish)(struct audit_run *run, struct errctx *ctx);
	void (*release)(struct audit_run *run);
};
/* audit_hooks.c; the last is NULL. */
extern const struct audit_hook *const audit_hooks[];

/* Adds a finding with a sentence; proofs (count of them) are copied. */
struct audit_tell {
	enum finding_kind kind;
	const char *origin; /* NULL: of no log */
	bool has_index;
	uint64_t index;
	const struct finding_proof *proofs;
	size_t proof_count;
};
enum err audit_tell(struct audit_run *run, const struct audit_tell *tell, const char *format,
	...) MUST_USE __attribute__((format(printf, 3, 4)));

/* The log of that name in the run; NULL. */
struct audit_log *audit_run_log(const struct audit_run *run, const char *name);

/* audit.c's table */
extern const struct cli_option audit_log_options[];
enum err audit_log_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;

#endif
