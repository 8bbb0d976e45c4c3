/*
 * Happy path: for each log make the locators of every number that was disclosed, and of as many
 * behind as a gap may be wide; look each entry's locator up; open what was shown with its P. In the
 * end all that was shown was there, and nothing else was.
 */
#include "cli/audit/grants_check.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "replication/log/checkpoint.h"
#include "replication/log/tree.h"

/* What is looked for in one log: the entry of a number under a key. */
struct wanted {
	struct seal_locator locator;
	uint32_t key, i;
	bool seen, opened;
};

struct grants_check {
	struct disclosure *disclosure;
	struct audit *audit;
	struct sealer *sealer;
	struct buf part;
	struct grants_log *logs; /* of the disclosure, in its order */
	uint32_t newest;         /* number of the last of them */
	/* Of the log that is read. */
	size_t log; /* the disclosure's log_count: none of it */
	uint32_t epoch;
	struct hash origin;
	struct wanted *wanted;
	size_t wanted_count;
	const struct grants_judge *judge;
};

const char *grants_verdict_name(enum audit_verdict verdict)
{
	return verdict == AUDIT_GOOD ? "good" : verdict == AUDIT_OPEN ? "open" : "bad";
}

/* --- life and looks --- */

static bool has_ledger(const struct disclosure *d)
{
	for (size_t i = 0; i < d->key_count; i++)
		if (d->keys[i].group == GROUP_AUDIT)
			return true;
	return false;
}

/* "<network>/<node>/.." of this node. */
static enum err own_log(const struct grants_check *c, const char *origin, uint32_t *ret_epoch)
{
	struct origin_parts parts;

	if (origin_parse(bytes_str(origin), NULL, &parts) != OK ||
		!bytes_equal_str(parts.network, c->disclosure->network) ||
		!bytes_equal_str(parts.node, c->disclosure->node))
		return ERR_NOTFOUND;
	*ret_epoch = parts.counter;
	return OK;
}

static enum err take_logs(struct grants_check *c, struct errctx *ctx)
{
	const struct disclosure *d = c->disclosure;

	c->logs = mem_array(d->log_count + 1, sizeof(*c->logs));
	if (c->logs == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < d->log_count; i++) {
		uint32_t epoch;

		if (own_log(c, d->logs[i].origin, &epoch) != OK)
			return err_set(
				ctx, ERR_PROOF, "the disclosure names a log of another node");
		if (epoch > c->newest)
			c->newest = epoch;
		c->logs[i] = (struct grants_log){
			.origin = d->logs[i].origin, .disclosed_size = d->logs[i].size};
	}
	c->log = d->log_count;
	return OK;
}

static enum err init(struct grants_check *c, struct bytes file, struct errctx *ctx)
{
	enum err err = disclosure_parse(file, &c->disclosure, ctx);

	if (err != OK)
		return err == ERR_NOMEM ? err : ERR_PROOF;
	if (!has_ledger(c->disclosure))
		return err_set(ctx, ERR_PROOF, "the disclosure has no key of a ledger in it");
	if (buf_reserve(&c->part, LIMIT_PART_SIZE) == NULL)
		return ERR_NOMEM;
	TRY(take_logs(c, ctx));
	TRY(audit_new(&c->audit));
	return sealer_new(&c->sealer);
}

enum err grants_check_new(struct bytes file, struct grants_check **ret, struct errctx *ctx)
{
	struct grants_check *c = mem_zalloc(sizeof(*c));
	enum err err;

	if (c == NULL)
		return ERR_NOMEM;
	buf_init(&c->part, LIMIT_PART_SIZE);
	err = init(c, file, ctx);
	if (err == OK)
		*ret = c;
	else
		grants_check_free(c);
	return err;
}

void grants_check_free(struct grants_check *c)
{
	if (c == NULL)
		return;
	sealer_free(c->sealer);
	audit_free(c->audit);
	disclosure_free(c->disclosure);
	mem_free(c->wanted);
	mem_free(c->logs);
	buf_wipe(&c->part);
	mem_free(c);
}

const char *grants_check_network(const struct grants_check *c)
{
	return c->disclosure->network;
}

const char *grants_check_node(const struct grants_check *c)
{
	return c->disclosure->node;
}

uint64_t grants_check_made_s(const struct grants_check *c)
{
	return c->disclosure->made_s;
}

size_t grants_check_log_count(const struct grants_check *c)
{
	return c->disclosure->log_count;
}

const struct grants_log *grants_check_log(const struct grants_check *c, size_t i)
{
	return &c->logs[i];
}

/* --- what is looked for --- */

static int by_locator(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return memcmp(x->locator.b, y->locator.b, sizeof(x->locator.b));
}

/* Every number that was disclosed, and as many behind as a gap may be wide. */
static enum err want_key(struct grants_check *c, uint32_t k)
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

static enum err want_all(struct grants_check *c)
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

enum err grants_check_begin(
	struct grants_check *c, const char *origin, bool *ret, struct errctx *ctx)
{
	const struct disclosure *d = c->disclosure;
	uint32_t epoch;

	*ret = false;
	c->log = d->log_count;
	if (own_log(c, origin, &epoch) != OK)
		return OK;
	for (size_t i = 0; i < d->log_count; i++)
		if (strcmp(d->logs[i].origin, origin) == 0)
			c->log = i;
	if (c->log == d->log_count)
		return epoch > c->newest
			       ? OK
			       : err_set(ctx, ERR_PROOF,
					 "log '%s' of the node is there, and the disclosure is "
					 "silent about it",
					 origin);
	c->epoch = epoch;
	sha256(bytes_str(origin), &c->origin);
	TRY(want_all(c));
	*ret = true;
	return OK;
}

/* --- one entry --- */

static enum err part_fits(const struct grants_check *c, const struct disclosure_key *key, bool *ret)
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
static enum err open_entry(
	struct grants_check *c, struct wanted *w, uint64_t index, struct bytes entry)
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
	return audit_add(c->audit, &at, &leaf, buf_bytes(&c->part), NULL);
}

enum err grants_check_entry(void *check, uint64_t index, struct bytes entry)
{
	struct grants_check *c = check;
	struct wanted key, *w;

	if (c->log == c->disclosure->log_count || seal_entry_locator(entry, &key.locator) != OK)
		return OK; /* a record, or nothing that a key could open */
	w = bsearch(&key, c->wanted, c->wanted_count, sizeof(*c->wanted), by_locator);
	if (w == NULL)
		return OK;
	if (index >= c->logs[c->log].disclosed_size) {
		c->logs[c->log].newer++;
		return OK;
	}
	w->seen = true;
	if (w->i < disclosure_reveals(&c->disclosure->keys[w->key], c->log) && !w->opened)
		return open_entry(c, w, index, entry);
	return OK;
}

/* --- all of it --- */

static const char *of_what(const struct disclosure_key *key)
{
	return key->group == GROUP_AUDIT ? "the ledger" : "the consents of a case";
}

/* All that is under the keys was shown, and all that was shown is there. */
static enum err check_whole(const struct grants_check *c, struct errctx *ctx)
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
		return err_set(ctx, ERR_PROOF, "log '%s': entry %u of %s (case %s) %s",
			c->logs[c->log].origin, w->i, of_what(key), ref,
			!shown     ? "was left out of the disclosure"
			: !w->seen ? "is not in the log"
				   : "is not opened by what the disclosure has for it");
	}
	return OK;
}

enum err grants_check_end(struct grants_check *c, uint64_t size, struct errctx *ctx)
{
	struct grants_log *log = &c->logs[c->log];

	if (c->log == c->disclosure->log_count)
		return OK;
	log->size = size;
	if (size < log->disclosed_size)
		return err_set(ctx, ERR_STALE,
			"log '%s': the export is older than the disclosure: export it again",
			log->origin);
	return check_whole(c, ctx);
}

/* --- judging --- */

static const char *origin_of(const struct grants_check *c, uint32_t epoch)
{
	for (size_t i = 0; i < c->disclosure->log_count; i++) {
		uint32_t other;

		if (own_log(c, c->logs[i].origin, &other) == OK && other == epoch)
			return c->logs[i].origin;
	}
	return "";
}

static bool member_of(void *arg, const char *node, struct audit_member *ret)
{
	const struct grants_check *c = arg;
	const struct member *member = c->judge->members == NULL
					      ? NULL
					      : directory_find(c->judge->members, bytes_str(node));

	if (member == NULL)
		return false;
	*ret = (struct audit_member){member->country, member->role == ROLE_AUDITOR};
	return true;
}

static void on_grant(void *arg, const struct audit_finding *finding)
{
	const struct grants_check *c = arg;

	c->judge->grant(c->judge->arg, finding, origin_of(c, finding->at.epoch));
}

static void on_erasure(void *arg, const struct audit_erasure *erasure)
{
	const struct grants_check *c = arg;

	c->judge->erasure(c->judge->arg, erasure, origin_of(c, erasure->at.epoch));
}

enum err grants_check_judge(
	struct grants_check *c, const struct grants_judge *judge, struct errctx *ctx)
{
	const struct audit_judge each = {member_of, on_grant, on_erasure, c};

	for (size_t i = 0; i < c->disclosure->log_count; i++)
		if (c->logs[i].size == 0 && c->logs[i].disclosed_size > 0)
			return err_set(
				ctx, ERR_PROOF, "log '%s' is not in the export", c->logs[i].origin);
	c->judge = judge;
	return audit_judge(c->audit, &each);
}
