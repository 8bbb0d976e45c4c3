/*
 * sauti audit grants: an office's grants, checked against its exported logs by what it has
 * disclosed. Happy path: read the disclosure; fold the directory; for each log of the node hash
 * every entry again, find those under the disclosed keys by their locators and open each with its
 * P; nothing under such a key is left out; then judge every grant (cases/keys/audit.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/keys/audit.h"
#include "cases/keys/disclosure.h"
#include "certs/directory.h"
#include "cli/args.h"
#include "cli/audit.h"
#include "cli/output.h"
#include "cli/source.h"
#include "node/files.h"
#include "replication/log/tree.h"

/* What is looked for in one log: the entry of a number under a key. */
struct wanted {
	struct seal_locator locator;
	uint32_t key, i;
	bool seen, opened;
};

struct checked_log {
	struct tlog_verdict verdict;
	uint64_t opened, newer; /* newer: under the ledger's key, since the disclosure */
};

struct checking {
	const char *directory;
	const struct tlog_policy *policy;
	struct disclosure *disclosure;
	struct directory *members; /* NULL: none is there */
	struct audit *audit;
	struct sealer *sealer;
	struct buf part;
	struct checked_log *logs; /* of the disclosure, in its order */
	/* Of the log that is read. */
	size_t log;
	uint32_t epoch;
	struct hash origin;
	struct wanted *wanted;
	size_t wanted_count;
	struct errctx *ctx;
	/* What came out. */
	json_t *findings;
	size_t good, open, bad;
	struct errctx first; /* the first that is bad */
};

/* --- what is looked for --- */

static int by_locator(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return memcmp(x->locator.b, y->locator.b, sizeof(x->locator.b));
}

/* Every number that was disclosed, and as many behind as a gap may be wide. */
static enum err want_key(struct checking *c, uint32_t k)
{
	const struct disclosure_key *key = &c->disclosure->keys[k];
	size_t count = disclosure_reveals(key, c->log) + LIMIT_LOCATOR_GAP;

	for (size_t i = 0; i < count; i++) {
		struct wanted *w = &c->wanted[c->wanted_count++];
		struct seal_position at = {c->origin, i};

		*w = (struct wanted){.key = k, .i = (uint32_t)i};
		TRY(seal_locator_by(&key->locators, &at, &w->locator));
	}
	return OK;
}

static enum err want_all(struct checking *c)
{
	const struct disclosure *d = c->disclosure;
	size_t count = 0;

	for (size_t k = 0; k < d->key_count; k++)
		count += disclosure_reveals(&d->keys[k], c->log) + LIMIT_LOCATOR_GAP;
	mem_free(c->wanted);
	c->wanted_count = 0;
	c->wanted = mem_array(count + 1, sizeof(*c->wanted));
	if (c->wanted == NULL)
		return ERR_NOMEM;
	for (size_t k = 0; k < d->key_count; k++)
		TRY(want_key(c, (uint32_t)k));
	qsort(c->wanted, c->wanted_count, sizeof(*c->wanted), by_locator);
	return OK;
}

/* --- one entry --- */

static enum err part_fits(const struct checking *c, const struct disclosure_key *key, bool *ret)
{
	struct part_info info;
	enum err err = part_info_read(buf_bytes(&c->part), &info, NULL);

	*ret = err == OK && info.group == key->group &&
	       memcmp(info.case_ref.b, key->case_ref.b, CASE_REF_SIZE) == 0;
	wipe(&info, sizeof(info));
	return err == ERR_NOMEM ? err : OK;
}

/* Does P open it, and is it of the key's case and group? Of two entries with one locator the first
 * that does counts. */
static enum err open_entry(struct checking *c, struct wanted *w, uint64_t index, struct bytes entry)
{
	const struct disclosure_key *key = &c->disclosure->keys[w->key];
	struct audit_place at = {c->epoch, index};
	struct seal_reveal p;
	struct hash leaf;
	enum err err;

	disclosure_reveal(key, c->log, w->i, &p);
	buf_clear(&c->part);
	err = seal_open_revealed(c->sealer, &p, &c->origin, entry, &c->part);
	wipe(&p, sizeof(p));
	if (err == ERR_NOMEM || err == ERR_CRYPTO)
		return err;
	if (err == OK)
		TRY(part_fits(c, key, &w->opened));
	if (!w->opened)
		return OK;
	tree_leaf(entry, &leaf);
	c->logs[c->log].opened++;
	return audit_add(c->audit, &at, &leaf, buf_bytes(&c->part), c->ctx);
}

static enum err on_entry(void *arg, uint64_t index, struct bytes entry)
{
	struct checking *c = arg;
	struct wanted key, *w;

	if (seal_entry_locator(entry, &key.locator) != OK)
		return OK; /* a record, or nothing that a key could open */
	w = bsearch(&key, c->wanted, c->wanted_count, sizeof(*c->wanted), by_locator);
	if (w == NULL)
		return OK;
	if (index >= c->disclosure->logs[c->log].size) {
		c->logs[c->log].newer++;
		return OK;
	}
	w->seen = true;
	if (w->i < disclosure_reveals(&c->disclosure->keys[w->key], c->log) && !w->opened)
		return open_entry(c, w, index, entry);
	return OK;
}

/* --- one log --- */

static const char *of_what(const struct disclosure_key *key)
{
	return key->group == GROUP_AUDIT ? "the ledger" : "the consents of a case";
}

/* All that is under the keys was shown, and all that was shown is there. */
static enum err check_whole(const struct checking *c)
{
	const struct disclosure *d = c->disclosure;

	for (size_t n = 0; n < c->wanted_count; n++) {
		const struct wanted *w = &c->wanted[n];
		const struct disclosure_key *key = &d->keys[w->key];
		bool shown = w->i < disclosure_reveals(key, c->log);
		char ref[2 * CASE_REF_SIZE + 1];

		if (shown == w->seen && shown == w->opened)
			continue;
		case_ref_text(&key->case_ref, ref);
		return err_set(c->ctx, ERR_PROOF, "log '%s': entry %u of %s (case %s) %s",
			d->logs[c->log].origin, w->i, of_what(key), ref,
			!shown     ? "was left out of the disclosure"
			: !w->seen ? "is not in the log"
				   : "is not opened by what the disclosure has for it");
	}
	return OK;
}

static enum err check_log(struct checking *c)
{
	const struct disclosure_log *log = &c->disclosure->logs[c->log];
	struct source_read read = {c->directory, log->origin, c->policy, on_entry, c};
	struct origin_parts parts;
	enum err err;

	if (origin_parse(bytes_str(log->origin), NULL, &parts) != OK ||
		!bytes_equal_str(parts.network, c->disclosure->network) ||
		!bytes_equal_str(parts.node, c->disclosure->node))
		return err_set(c->ctx, ERR_PROOF, "the disclosure names a log of another node");
	c->epoch = parts.counter;
	sha256(bytes_str(log->origin), &c->origin);
	TRY(want_all(c));
	err = source_read(&read, &c->logs[c->log].verdict, c->ctx);
	if (err == ERR_NOTFOUND)
		return err_set(c->ctx, err, "log '%s' is not in the export", log->origin);
	TRY(err);
	if (c->logs[c->log].verdict.checkpoint.size < log->size)
		return err_set(c->ctx, ERR_STALE,
			"log '%s': the export is older than the disclosure: export it again",
			log->origin);
	return check_whole(c);
}

static bool is_disclosed(const struct disclosure *d, const char *origin)
{
	for (size_t i = 0; i < d->log_count; i++)
		if (strcmp(d->logs[i].origin, origin) == 0)
			return true;
	return false;
}

/* A log that is there and was not disclosed may be newer, and nothing else. */
static enum err check_others(const struct checking *c)
{
	const struct disclosure *d = c->disclosure;
	struct source_logs *logs = mem_zalloc(sizeof(*logs));
	enum err err;

	if (logs == NULL)
		return ERR_NOMEM;
	err = source_logs(c->directory, d->network, d->node, logs, c->ctx);
	for (size_t i = 0; i < logs->count && err == OK; i++) {
		struct origin_parts parts;

		if (is_disclosed(d, logs->origins[i].text) ||
			origin_parse(bytes_str(logs->origins[i].text), NULL, &parts) != OK ||
			parts.counter > c->epoch)
			continue;
		err = err_set(c->ctx, ERR_PROOF,
			"log '%s' of the node is there, and the disclosure is silent about it",
			logs->origins[i].text);
	}
	mem_free(logs);
	return err;
}

/* --- the directory --- */

static enum err on_record(void *arg, uint64_t index, struct bytes entry)
{
	(void)index;
	return directory_apply(arg, entry);
}

/* The newest that the policy knows; without one, what hangs on it stays open. */
static enum err read_directory(struct checking *c)
{
	const char *network = c->disclosure->network;
	struct source_logs *logs = mem_zalloc(sizeof(*logs));
	struct tlog_verdict verdict;
	enum err err;

	if (logs == NULL)
		return ERR_NOMEM;
	err = source_logs(c->directory, network, "directory", logs, c->ctx);
	while (err == OK && logs->count > 0 && c->members == NULL) {
		const char *origin = logs->origins[--logs->count].text;
		struct source_read read = {c->directory, origin, c->policy, on_record, NULL};

		if (tlog_policy_log(c->policy, origin) == NULL)
			continue;
		err = directory_new(network, &c->members);
		read.arg = c->members;
		if (err == OK)
			err = source_read(&read, &verdict, c->ctx);
	}
	mem_free(logs);
	return err;
}

static bool member_of(void *arg, const char *node, struct audit_member *ret)
{
	const struct checking *c = arg;
	const struct member *member =
		c->members == NULL ? NULL : directory_find(c->members, bytes_str(node));

	if (member == NULL)
		return false;
	*ret = (struct audit_member){member->country, member->role == ROLE_AUDITOR};
	return true;
}

/* --- the grants --- */

static const char *verdict_name(enum audit_verdict verdict)
{
	return verdict == AUDIT_GOOD ? "good" : verdict == AUDIT_OPEN ? "open" : "bad";
}

static const char *origin_of(const struct checking *c, uint32_t epoch)
{
	for (size_t i = 0; i < c->disclosure->log_count; i++) {
		struct origin_parts parts;

		if (origin_parse(bytes_str(c->disclosure->logs[i].origin), NULL, &parts) == OK &&
			parts.counter == epoch)
			return c->disclosure->logs[i].origin;
	}
	return "";
}

static void on_finding(void *arg, const struct audit_finding *f)
{
	struct checking *c = arg;
	char id[EVENT_ID_TEXT + 1], ref[2 * CASE_REF_SIZE + 1];

	event_id_text(&f->grant, id);
	case_ref_text(&f->case_ref, ref);
	c->good += f->verdict == AUDIT_GOOD;
	c->open += f->verdict == AUDIT_OPEN;
	if (f->verdict == AUDIT_BAD && c->bad++ == 0)
		err_set(&c->first, ERR_PROOF, "grant %s of case %s to '%s', entry %llu: %s", id,
			ref, f->recipient, (unsigned long long)f->at.index, f->why);
	json_array_append_new(c->findings,
		json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:s}", "grant", id, "verdict",
			verdict_name(f->verdict), "case", ref, "recipient", f->recipient, "basis",
			f->basis, "log", origin_of(c, f->at.epoch), "index",
			(json_int_t)f->at.index, "why", f->why));
}

/* --- what is printed --- */

static json_t *log_json(const struct checking *c, size_t i)
{
	const struct tlog_verdict *v = &c->logs[i].verdict;
	json_t *by = json_array();

	for (size_t n = 0; n < v->count; n++)
		json_array_append_new(by, json_pack("{s:s,s:I}", "name", v->cosigners[n].name,
						  "time", (json_int_t)v->cosigners[n].time_s));
	return json_pack("{s:s,s:I,s:I,s:I,s:I,s:o}", "log", c->disclosure->logs[i].origin, "size",
		(json_int_t)v->checkpoint.size, "disclosed_size",
		(json_int_t)c->disclosure->logs[i].size, "opened", (json_int_t)c->logs[i].opened,
		"newer", (json_int_t)c->logs[i].newer, "cosigned_by", by);
}

static json_t *report_json(const struct checking *c)
{
	json_t *logs = json_array();

	for (size_t i = 0; i < c->disclosure->log_count; i++)
		json_array_append_new(logs, log_json(c, i));
	return json_pack("{s:s,s:I,s:o,s:I,s:I,s:I,s:b,s:O}", "node", c->disclosure->node,
		"disclosed_at", (json_int_t)c->disclosure->made_s, "logs", logs, "good",
		(json_int_t)c->good, "open", (json_int_t)c->open, "bad", (json_int_t)c->bad,
		"directory", c->members != NULL, "grants", c->findings);
}

static void print_log(const struct checking *c, size_t i)
{
	const struct tlog_verdict *v = &c->logs[i].verdict;
	char at[21];

	printf("log     %s: %" PRIu64 " entries hashed again, %" PRIu64 " opened",
		c->disclosure->logs[i].origin, v->checkpoint.size, c->logs[i].opened);
	for (size_t n = 0; n < v->count; n++) {
		audit_time_text(v->cosigners[n].time_s, at);
		printf("\n        %s at %s", v->cosigners[n].name, at);
	}
	putchar('\n');
	if (c->logs[i].newer > 0)
		printf("        %" PRIu64 " came after the disclosure, and are not judged\n",
			c->logs[i].newer);
}

static void print_report(const struct checking *c)
{
	const json_t *item;
	char at[21];
	size_t i;

	audit_time_text(c->disclosure->made_s, at);
	printf("node    %s, disclosed %s\n", c->disclosure->node, at);
	for (i = 0; i < c->disclosure->log_count; i++)
		print_log(c, i);
	printf("grants  %zu good, %zu open, %zu bad\n", c->good, c->open, c->bad);
	json_array_foreach(c->findings, i, item)
	{
		struct output_buffer b[4];

		if (strcmp(output_member(item, "verdict", &b[0]), "good") == 0)
			continue;
		printf("%-6s  %s to ", output_member(item, "verdict", &b[0]),
			output_member(item, "grant", &b[1]));
		output_text(stdout, output_member(item, "recipient", &b[2]), false);
		printf(", entry %llu: ", (unsigned long long)output_number(item, "index"));
		output_text(stdout, output_member(item, "why", &b[3]), false);
		putchar('\n');
	}
}

/* --- the command --- */

static bool has_ledger(const struct disclosure *d)
{
	for (size_t i = 0; i < d->key_count; i++)
		if (d->keys[i].group == GROUP_AUDIT)
			return true;
	return false;
}

static enum err check_all(struct checking *c)
{
	const struct audit_judge judge = {member_of, on_finding, c};

	if (!has_ledger(c->disclosure))
		return err_set(c->ctx, ERR_PROOF, "the disclosure has no key of a ledger in it");

	TRY(read_directory(c));
	for (c->log = 0; c->log < c->disclosure->log_count; c->log++)
		TRY(check_log(c));
	TRY(check_others(c));
	return audit_judge(c->audit, &judge);
}

static enum err checking_init(struct checking *c, struct errctx *ctx)
{
	c->ctx = ctx;
	buf_init(&c->part, LIMIT_PART_SIZE);
	c->findings = json_array();
	c->logs = mem_zalloc((c->disclosure->log_count + 1) * sizeof(*c->logs));
	if (c->findings == NULL || c->logs == NULL ||
		buf_reserve(&c->part, LIMIT_PART_SIZE) == NULL)
		return ERR_NOMEM;
	TRY(audit_new(&c->audit));
	return sealer_new(&c->sealer);
}

static void checking_release(struct checking *c)
{
	sealer_free(c->sealer);
	audit_free(c->audit);
	directory_free(c->members);
	disclosure_free(c->disclosure);
	mem_free(c->wanted);
	mem_free(c->logs);
	buf_wipe(&c->part);
	json_decref(c->findings);
}

static enum err judge_file(struct cli *cli, struct checking *c, struct errctx *ctx)
{
	enum err err = checking_init(c, ctx);

	if (err == OK)
		err = check_all(c);
	if (err == ERR_UNTRUSTED)
		err = err_wrap(ctx, ERR_PROOF, "the export");
	if (err != OK)
		return err;
	if (cli->json) {
		json_t *json = report_json(c);

		if (json == NULL)
			return ERR_NOMEM;
		output_json(json);
		json_decref(json);
	} else {
		print_report(c);
	}
	return c->bad == 0 ? OK
			   : err_set(ctx, ERR_PROOF, "%zu of %zu grants are bad; the first: %s",
				     c->bad, c->good + c->open + c->bad, c->first.text);
}

enum err audit_grants_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	const char *path = args_option(args, "opened");
	struct tlog_policy *policy = NULL;
	struct checking c = {.directory = args_at(args, 0)};
	struct buf file;
	enum err err;

	if (path == NULL)
		return cli_usage(
			cli, ctx, "--opened is needed: what 'sauti ledger disclose' wrote");
	TRY(audit_policy(cli, args, &policy, ctx));
	c.policy = policy;
	buf_init(&file, LIMIT_DISCLOSURE + 1);
	err = files_read(path, LIMIT_DISCLOSURE, &file, ctx);
	if (err == OK) {
		err = disclosure_parse(buf_bytes(&file), &c.disclosure, ctx);
		if (err != OK && err != ERR_NOMEM)
			err = err_wrap(ctx, ERR_PROOF, "'%s'", path);
	}
	if (err == OK)
		err = judge_file(cli, &c, ctx);
	checking_release(&c);
	buf_wipe(&file);
	tlog_policy_free(policy);
	return err;
}

const struct cli_option audit_grants_options[] = {
	{"opened", "FILE", "what the office has disclosed ('sauti ledger disclose')", false},
	{"policy", "FILE", "logs, cosigners and their quorum (C2SP tlog-policy)", false},
	{"log", "KEY", "in place of a policy: the verifier key of the node's only log", false},
	{0},
};
