/*
 * Whom an audit believes. With --directory the chain is: the given key signs the directory's log;
 * its records say who is a member, with which `node` and mirror keys, and what the quorum is; a
 * member's `node` key signs the LogOpened of each of its logs, which has the log's key. With
 * --policy keys and quorum are in the file. With both, both have to be content.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "certs/record.h"
#include "cli/audit/log.h"
#include "node/files.h"

/* --- the options --- */

static enum err read_policy(const char *path, struct tlog_policy **ret, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf text;
	enum err err;

	buf_init(&text, LIMIT_POLICY_SIZE + 1);
	TRY(files_read(path, LIMIT_POLICY_SIZE, &text, ctx));
	err = tlog_policy_parse(buf_bytes(&text), ret, ctx);
	return err == OK ? OK : err_wrap(ctx, err, "policy '%s'", path);
}

enum err audit_trust_options(struct audit_run *run, struct errctx *ctx)
{
	const char *policy = args_option(run->args, "policy");
	const char *vkey = args_option(run->args, "directory");
	struct note_key *key = &run->directory_key;
	struct origin_parts parts;

	if (policy == NULL && vkey == NULL)
		return cli_usage(run->cli, ctx,
			"say whom to believe: --directory with the verifier key of the "
			"network's directory (on every invitation; 'sauti log policy' prints it), "
			"or --policy with a file of logs and cosigners ('sauti log policy' writes "
			"one)");
	if (vkey != NULL &&
		(note_key_parse(bytes_str(vkey), key) != OK || key->type != NOTE_ED25519 ||
			origin_parse(bytes_str(key->name), NULL, &parts) != OK ||
			!bytes_equal_str(parts.node, "directory")))
		return cli_usage(run->cli, ctx,
			"--directory is no verifier key of a directory: "
			"<network>/directory/<epoch>+<id>+<key>");
	return policy == NULL ? OK : read_policy(policy, &run->policy, ctx);
}

/* --- the key of a log --- */

static bool is_own(const struct audit_run *run, const struct audit_log *log);

/* A source that begins behind entry 0: the last visit may have it. The keys that --policy and
 * --directory give themselves are not read out of it. */
static enum err remember_opened(struct audit_run *run, struct audit_log *log, struct errctx *ctx)
{
	for (size_t i = 0; audit_hooks[i] != NULL && log->opened.size == 0; i++)
		if (audit_hooks[i]->opened != NULL)
			TRY(audit_hooks[i]->opened(run, log));
	if (log->opened.size > 0 || run->directory == NULL || is_own(run, log))
		return OK;
	return err_set(ctx, ERR_UNREACHABLE,
		"its entries before %llu are not in this source, nor has an earlier visit seen "
		"them (--state): name the directory that has all parts of the set",
		(unsigned long long)source_starts(&run->source.files, log->name.text));
}

/* Entry 0, out of the first file. *ret_kind: what is wrong when it cannot be had. */
static enum err read_opened(struct audit_run *run, struct audit_log *log,
	enum finding_kind *ret_kind, struct errctx *ctx)
{
	struct tlog_file file = {TLOG_ENTRIES, {0, 0}, TILE_WIDTH};
	CLEANUP(buf_release) struct buf entries;
	size_t size;
	bool wider;
	enum err err;

	*ret_kind = FINDING_FILE_MISSING;
	buf_init(&entries, SOURCE_ENTRIES_MAX + 1);
	if (source_starts(&run->source.files, log->name.text) > 0)
		return remember_opened(run, log, ctx);
	/* Not verified yet: nothing but which file to ask for follows from it. */
	if (log->checkpoint.size < TILE_WIDTH)
		file.width = (unsigned)log->checkpoint.size;
	err = source_file(&run->source.files, log->name.text, &file, &entries, &wider, ctx);
	*ret_kind = err == ERR_NOTFOUND || err == ERR_INVALID ? FINDING_FILE_MISSING
							      : FINDING_ENTRY_CUT;
	if (err == ERR_NOTFOUND || err == ERR_LIMIT || err == ERR_INVALID)
		return OK;
	TRY(err);
	size = entries.size >= 2 ? get_u16be(entries.data) : 0;
	if (size > LIMIT_LOG_OPENED)
		*ret_kind = FINDING_OPENED_BAD; /* no reader takes one that is larger */
	else if (size > 0 && size <= entries.size - 2)
		buf_put(&log->opened, bytes_make(entries.data + 2, size));
	return log->opened.err;
}

/* The key that LogOpened gives; node: who must have signed it, NULL: whoever did. */
static enum err key_of_opened(const struct audit_log *log, const struct ed25519_public *node,
	struct note_key *ret, struct errctx *ctx)
{
	struct log_opened opened;
	struct arena arena;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = log_opened_read(buf_bytes(&log->opened), node, &arena, &opened, ctx);
	if (err == OK && strcmp(opened.origin, log->origin.text) != 0)
		err = err_set(ctx, ERR_UNTRUSTED, "it names another log");
	if (err == OK)
		err = log_note_key(&log->origin, &opened.log_key, ret);
	arena_release(&arena);
	return err;
}

static enum err tell_opened(
	struct audit_run *run, const struct audit_log *log, const struct errctx *why, enum err err)
{
	const struct finding_proof proof = {"entry", buf_bytes(&log->opened), false};
	const struct audit_tell tell = {
		FINDING_OPENED_BAD, log->name.text, true, 0, &proof, log->opened.size > 0};

	return err == ERR_NOMEM ? err
				: audit_tell(run, &tell, "entry 0 is not what opens this log: %s",
					  err_message(why, err));
}

static enum err tell_gone(
	struct audit_run *run, const struct audit_log *log, enum finding_kind missing)
{
	const struct audit_tell gone = {missing, log->name.text, true, 0, NULL, 0};

	return audit_tell(run, &gone, "entry 0, which has the log's key, %s",
		missing == FINDING_OPENED_BAD ? "is larger than one can be that opens a log"
					      : "cannot be had: nothing was looked at");
}

static enum err key_of_directory(
	struct audit_run *run, struct audit_log *log, enum finding_kind missing)
{
	const struct ed25519_public *node = directory_opener(run->directory, log->origin.text);
	const struct audit_tell stranger = {
		FINDING_KEY_NOT_ADMITTED, log->name.text, false, 0, NULL, 0};
	struct errctx why = {""};
	enum err err;

	if (node == NULL)
		return audit_tell(
			run, &stranger, "no member of the directory writes a log of this name");
	if (log->opened.size == 0)
		return tell_gone(run, log, missing);
	err = key_of_opened(log, node, &log->key, &why);
	if (err != OK)
		return tell_opened(run, log, &why, err);
	log->has_key = log->has_node = true;
	log->node = *node;
	return OK;
}

/* What the policy says and what the log says of itself. */
static enum err key_of_policy(
	struct audit_run *run, struct audit_log *log, enum finding_kind missing)
{
	const struct note_key *given = tlog_policy_log(run->policy, log->origin.text);
	struct errctx why = {""};
	struct note_key key;
	enum err err = OK;

	if (given == NULL)
		return OK;
	log->has_key = true;
	log->key = *given;
	if (log->opened.size == 0)
		return missing == FINDING_OPENED_BAD ? tell_gone(run, log, missing)
						     : OK; /* the walk says so */
	err = key_of_opened(log, NULL, &key, &why);
	if (err == OK && memcmp(key.key.b, given->key.b, sizeof(key.key.b)) != 0)
		err = err_set(&why, ERR_UNTRUSTED, "it gives another key than the policy");
	return err == OK ? OK : tell_opened(run, log, &why, err);
}

static bool is_own(const struct audit_run *run, const struct audit_log *log)
{
	return strcmp(log->origin.text, run->directory_key.name) == 0;
}

enum err audit_trust_key(struct audit_run *run, struct audit_log *log, struct errctx *ctx)
{
	const struct audit_tell unknown = {FINDING_UNFINISHED, log->name.text, false, 0, NULL, 0};
	enum finding_kind missing;

	TRY(read_opened(run, log, &missing, ctx));
	if (is_own(run, log)) {
		log->has_key = true;
		log->key = run->directory_key;
		return OK;
	}
	if (run->policy != NULL)
		TRY(key_of_policy(run, log, missing));
	if (run->directory != NULL) {
		struct note_key given = log->key;
		bool has = log->has_key;

		TRY(key_of_directory(run, log, missing));
		if (has && log->has_node &&
			memcmp(given.key.b, log->key.key.b, sizeof(given.key.b)))
			log->has_key = false; /* told by key_of_policy */
	}
	if (log->has_key || run->directory != NULL)
		return OK;
	return audit_tell(run, &unknown, "%s",
		run->directory_key.name[0] != '\0'
			? "not looked at: its key follows from the directory, which could not be "
			  "believed"
			: "not looked at: the policy does not list it");
}

/* --- the checkpoint --- */

static enum err tell_note(struct audit_run *run, const struct audit_log *log,
	enum finding_kind kind, const char *text, const char *more)
{
	const struct finding_proof proof = {"checkpoint", buf_bytes(&log->note), false};
	const struct audit_tell tell = {kind, log->name.text, false, 0, &proof, 1};

	return audit_tell(run, &tell, "%s%s", text, more);
}

enum err audit_trust_form(struct audit_run *run, struct audit_log *log)
{
	struct errctx why = {""};
	enum err err = checkpoint_peek(buf_bytes(&log->note), &log->checkpoint, &why);

	if (err == ERR_NOMEM)
		return err;
	if (err != OK)
		return tell_note(run, log, FINDING_CHECKPOINT_BAD,
			"its checkpoint: ", err_message(&why, err));
	if (!checkpoint_is_of(&log->checkpoint, log->name.text))
		return tell_note(run, log, FINDING_CHECKPOINT_BAD,
			"its checkpoint is of another log: ", log->checkpoint.origin.text);
	if (log->checkpoint.size == 0)
		return tell_note(run, log, FINDING_CHECKPOINT_BAD,
			"its checkpoint is of no entries: nobody publishes that", "");
	log->formed = true;
	return OK;
}

enum err audit_trust_note(struct audit_run *run, struct audit_log *log)
{
	struct errctx why = {""};
	enum err err =
		checkpoint_open(buf_bytes(&log->note), &log->key, &log->checkpoint, NULL, &why);

	if (err == ERR_NOMEM || err == ERR_CRYPTO)
		return err;
	log->trusted = err == OK;
	return err == OK ? OK
			 : tell_note(run, log, FINDING_CHECKPOINT_BAD,
				   "its checkpoint: ", err_message(&why, err));
}

/* --- the quorum --- */

static bool is_author(const struct audit_log *log, const struct member *m)
{
	struct origin_parts parts;

	if (origin_parse(bytes_str(log->origin.text), NULL, &parts) != OK)
		return false;
	return bytes_equal_str(parts.node, "directory") ? m->role == ROLE_HQ
							: bytes_equal_str(parts.node, m->name);
}

/* A policy that is being written, as a file would have it. */
struct writing {
	const char *network;
	struct buf text, members; /* the quorum's */
	unsigned keys, count;
	enum err err;
};

static void put_key(struct writing *w, const char *name, enum err made, const struct note_key *key)
{
	if (made != OK)
		w->err = made;
	buf_printf(&w->text, "witness %s ", name);
	note_key_format(&w->text, key);
	buf_put_u8(&w->text, '\n');
	w->keys++;
}

static bool has_room(const struct writing *w)
{
	return w->keys < LIMIT_POLICY_ITEMS;
}

/* A mirror of the quorum, with the keys that it had and gave up itself: what it cosigned with them,
 * before, goes on counting. */
static void put_mirror(struct writing *w, const struct member *m)
{
	char name[LIMIT_NODE_NAME + sizeof("/mirrors/4294967295")];
	CLEANUP(buf_release) struct buf group;
	struct note_key key = {.id = 0};
	unsigned n = 0;
	enum err err;

	err = mirror_note_key(bytes_str(w->network), bytes_str(m->name), &m->mirror, &key);
	put_key(w, m->name, err, &key);
	buf_init(&group, LIMIT_POLICY_SIZE);
	for (const struct former *f = m->former; f != NULL && !f->replaced && has_room(w);
		f = f->former) {
		snprintf(name, sizeof(name), "%s/mirrors/%u", m->name, ++n);
		err = mirror_note_key(bytes_str(w->network), bytes_str(m->name), &f->mirror, &key);
		put_key(w, name, err, &key);
		buf_printf(&group, " %s", name);
	}
	snprintf(name, sizeof(name), "%s/mirrors", m->name);
	if (n > 0)
		buf_printf(&w->text, "group %s any %s%s\n", name, m->name, buf_cstr(&group));
	buf_printf(&w->members, " %s", n > 0 ? name : m->name);
	w->count++;
}

/* Known, and no part of the quorum: as long as there is room. */
static void put_others(struct writing *w, const struct member *m, bool counts)
{
	char name[LIMIT_NODE_NAME + sizeof("/witness")];
	struct note_key key = {.id = 0};
	enum err err;

	if (!counts && has_room(w)) {
		err = mirror_note_key(bytes_str(w->network), bytes_str(m->name), &m->mirror, &key);
		put_key(w, m->name, err, &key);
	}
	if (has_room(w)) {
		snprintf(name, sizeof(name), "%s/witness", m->name);
		err = witness_note_key(
			bytes_str(w->network), bytes_str(m->name), &m->witness, &key);
		put_key(w, name, err, &key);
	}
}

static void put_members(
	struct writing *w, const struct audit_run *run, const struct audit_log *log, bool quorum)
{
	const struct member *m;

	for (size_t i = 0; (m = directory_at(run->directory, i)) != NULL; i++) {
		bool counts = directory_counts(run->directory, m->name) && !is_author(log, m);

		if (m->active && quorum && counts && has_room(w))
			put_mirror(w, m);
		else if (m->active && !quorum)
			put_others(w, m, counts);
	}
}

/* The directory's policy for one log: whoever is a member is known, the mirrors that count are the
 * quorum's, but for the author, whose word it is already. As many as the policy wants, or all where
 * there are fewer. */
static enum err directory_quorum(const struct audit_run *run, const struct audit_log *log,
	struct tlog_policy **ret, struct errctx *ctx)
{
	unsigned needed = directory_policy(run->directory)->quorum;
	struct writing w = {.network = directory_network(run->directory)};
	enum err err;

	buf_init(&w.text, LIMIT_POLICY_SIZE);
	buf_init(&w.members, LIMIT_POLICY_SIZE);
	put_members(&w, run, log, true);
	put_members(&w, run, log, false);
	if (w.count == 0)
		buf_put_str(&w.text, "quorum none\n");
	else
		buf_printf(&w.text, "group quorum/of/mirrors %u%s\nquorum quorum/of/mirrors\n",
			needed < w.count ? needed : w.count, buf_cstr(&w.members));
	err = w.err != OK ? w.err : w.text.err != OK ? w.text.err : w.members.err;
	if (err == OK)
		err = tlog_policy_parse(buf_bytes(&w.text), ret, ctx);
	buf_release(&w.text);
	buf_release(&w.members);
	return err;
}

static enum err keep_cosigners(struct audit_log *log, const struct tlog_verdict *verdict)
{
	struct audit_cosigner *list = mem_array(verdict->count + 1, sizeof(*list));

	if (list == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < verdict->count; i++) {
		snprintf(list[i].name, sizeof(list[i].name), "%s", verdict->cosigners[i].name);
		list[i].time_s = verdict->cosigners[i].time_s;
	}
	mem_free(log->cosigners);
	log->cosigners = list;
	log->cosigner_count = verdict->count;
	log->unknown = verdict->unknown;
	return OK;
}

static enum err judge(struct audit_run *run, struct audit_log *log,
	const struct tlog_policy *policy, const char *whose, struct errctx *ctx)
{
	CLEANUP(mem_free_p) struct tlog_judgement *j = mem_zalloc(sizeof(*j));
	char text[128];

	if (j == NULL)
		return ERR_NOMEM;
	TRY(tlog_policy_judge(policy, &log->key, buf_bytes(&log->note), j, ctx));
	if (j->bad > 0)
		TRY(tell_note(run, log, FINDING_COSIGNATURE_BAD,
			"a cosignature does not verify that says it is by ", j->first_bad));
	snprintf(text, sizeof(text), "the quorum of %s has not cosigned its checkpoint: ", whose);
	if (!j->quorum)
		TRY(tell_note(run, log, FINDING_QUORUM_MISSING, text,
			j->verdict.count == 0 ? "nobody who is known has" : "too few have"));
	/* With two policies the larger list of those who are known. */
	return log->cosigners == NULL || j->verdict.count > log->cosigner_count
		       ? keep_cosigners(log, &j->verdict)
		       : OK;
}

enum err audit_trust_quorum(struct audit_run *run, struct audit_log *log, struct errctx *ctx)
{
	const struct audit_tell unknown = {
		FINDING_COSIGNATURE_UNKNOWN, log->name.text, false, 0, NULL, 0};
	struct tlog_policy *policy = NULL;
	enum err err = OK;

	if (run->directory != NULL) {
		TRY(directory_quorum(run, log, &policy, ctx));
		err = judge(run, log, policy, "the directory's policy", ctx);
		tlog_policy_free(policy);
	}
	if (err == OK && run->policy != NULL)
		err = judge(run, log, run->policy, "the policy", ctx);
	if (err == OK && log->unknown > 0)
		err = audit_tell(run, &unknown,
			"%zu signatures on its checkpoint are of keys that are not known, and "
			"count for nothing",
			log->unknown);
	return err;
}
