/*
 * audit_log: one run of 'sauti audit log': which logs, whom to believe, what was found. Its parts
 * stand in files of their own and meet in struct audit_run:
 *
 *   log.c     the command: options, the order of things
 *   trust.c   keys and quorum: --policy, or --directory and what its log says
 *   jobs.c    the walk of one log by several threads
 *   report.c  what is printed
 *   visit.c   what is known beyond the files: the last visit, keys and their times, a ledger
 *   page.c    the report as a page
 *   hooks.c   the table of those who take part in a run, in order
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
#include "cli/audit/source_open.h"
#include "replication/audit/walk.h"
#include "replication/log/tlog_policy.h"

struct audit_cosigner {
	char name[NOTE_KEY_NAME_MAX + 1]; /* of the key */
	uint64_t time_s;
};

/* One log of a run. */
struct audit_log {
	struct origin name;   /* as the source has it: an origin, or a branch */
	struct origin origin; /* .. of which log that is */
	bool directory;       /* the directory's own */
	struct buf note;      /* its checkpoint, as the source has it; empty: there is none */
	/* Entry 0, as the source has it; empty: it cannot be had. Under the root only if the walk
	 * began there and is sound. */
	struct buf opened;
	bool formed; /* .. it is a checkpoint of this log, by its form: size and root are filled in
		      */
	/* The directory's key gave it, or a LogOpened that `node` signed, or --policy. */
	bool has_key;
	struct note_key key;
	bool has_node; /* the directory names the key that must have opened it, and it has */
	struct ed25519_public node;
	/* The checkpoint is of this log and signed by its key, whatever the quorum says; who of
	 * those that are known has cosigned it, and how many others. */
	bool trusted;
	struct checkpoint checkpoint;
	struct audit_cosigner *cosigners;
	size_t cosigner_count, unknown;
	bool walked; /* result is filled in */
	struct walk_result result;
	/* OK, or why it could not be looked at. */
	enum err err;
	struct errctx why;
};

struct receipt_check; /* receipt.h */
struct audit_visit;   /* visit.c: state, history, page, ledger */

struct audit_run {
	struct cli *cli;
	const struct cli_args *args;
	struct source source;
	const char *source_text;
	struct findings *findings;
	uint64_t now_s; /* --now, or the clock */
	unsigned jobs;  /* threads */
	/* Whom to believe. At least one of the two is there. */
	struct tlog_policy *policy;    /* --policy; NULL */
	struct note_key directory_key; /* --directory; name "": not given */
	struct directory *directory;   /* what its log says, if that is the signed one; or NULL */
	/* The logs, the directory's first, then by name. */
	struct audit_log *logs;
	size_t log_count;
	bool evidence_unread; /* not all proofs of forks in the source could be looked at */
	bool listed; /* the source has said which it has: none was named, and there is a list */
	struct audit_visit *visit;
	struct receipt_check *receipt; /* of 'receipt check' alone; NULL */
};

/* Who takes part in a run. Any function may be NULL. What is wrong with a log is a finding; an
 * error ends the run ("could not look"). */
struct audit_hook {
	/* The source is open, the list of logs is made, nothing is read. */
	enum err (*begin)(struct audit_run *run, struct errctx *ctx);
	/* The checkpoint of a log is trusted, its walk comes next. May set from, from_root and
	 * marks of the walk; from not of the directory's own log, whose fold needs all of it. */
	enum err (*before)(struct audit_run *run, struct audit_log *log, struct walk_opts *walk,
		struct errctx *ctx);
	/* An entry of it (walk_entry); within the walk, in order. */
	enum err (*entry)(struct audit_run *run, const struct audit_log *log, uint64_t index,
		struct bytes entry);
	/* The log is walked and its cosignatures are judged, or it could not be looked at. The
	 * directory's comes first. */
	enum err (*after)(struct audit_run *run, struct audit_log *log, struct errctx *ctx);
	/* All logs are done, the report comes next. */
	enum err (*end)(struct audit_run *run, struct errctx *ctx);
	/* The report is printed, findings are final: pages, state. */
	enum err (*finish)(struct audit_run *run, struct errctx *ctx);
	void (*release)(struct audit_run *run);
	/* The source lacks the beginning of this log: puts its LogOpened into log->opened, if it is
	 * known from before. */
	enum err (*opened)(struct audit_run *run, struct audit_log *log);
};
/* hooks.c; the last is NULL. */
extern const struct audit_hook *const audit_hooks[];
extern const struct audit_hook audit_source_hook; /* source_hook.c */

/* All of a run but the report: cli, args and source_text are set; policy may be, and then need not
 * be an option. Release it in any case. */
enum err audit_run_look(struct audit_run *run, struct errctx *ctx) MUST_USE;
void audit_run_release(struct audit_run *run);

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
/* Nobody has said which logs there are: the directory's is the only one that was looked at. */
bool audit_run_blind(const struct audit_run *run);
/* One log more, before any was read. ERR_LIMIT past LIMIT_LOGS. */
enum err audit_run_add(struct audit_run *run, const char *name) MUST_USE;

/* trust.c: --policy, --directory. A usage error without either. */
enum err audit_trust_options(struct audit_run *run, struct errctx *ctx) MUST_USE;
/* Is its checkpoint one of this log, by its form? */
enum err audit_trust_form(struct audit_run *run, struct audit_log *log) MUST_USE;
/* The log's key, with a finding if it cannot be had; its LogOpened is read. */
enum err audit_trust_key(struct audit_run *run, struct audit_log *log, struct errctx *ctx) MUST_USE;
/* Is its checkpoint signed by its key? */
enum err audit_trust_note(struct audit_run *run, struct audit_log *log) MUST_USE;
/* Its cosignatures, and the quorum. */
enum err audit_trust_quorum(
	struct audit_run *run, struct audit_log *log, struct errctx *ctx) MUST_USE;

/* jobs.c: the walk by so many threads (1: this one alone). `each` and progress are called by
 * the calling thread. As walk_run; ERR_NOMEM also when no thread can be had. */
enum { AUDIT_JOBS_MAX = 16 };
struct audit_jobs {
	unsigned jobs;
	/* Now and then: so many entries of the log are hashed; may be NULL. */
	void (*progress)(void *arg, uint64_t hashed);
	void *arg;
};
enum err audit_jobs_run(const struct walk_opts *opts, const struct audit_jobs *jobs,
	struct walk_result *ret, struct errctx *ctx) MUST_USE;

/* report.c: on stdout, as text or JSON. */
enum err audit_report(const struct audit_run *run, struct errctx *ctx) MUST_USE;
/* "sound", "violated" or "unfinished" */
const char *audit_report_verdict(const struct audit_run *run);

/* audit.c's table */
extern const struct cli_option audit_log_options[];
enum err audit_log_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;

#endif
