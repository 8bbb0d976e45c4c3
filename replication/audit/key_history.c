/*
 * Keys and their times. The fold is certs/directory's; the keys are read out of its members, of
 * what they had before, and of what cut them off, once it is at rest.
 */
#include "replication/audit/key_history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "certs/record.h"
#include "replication/audit/say.h"
#include "replication/log/evidence.h"

enum { USES = HISTORY_WITNESS + 1 };

/* A log that the source has. */
struct seen {
	struct origin origin, previous; /* previous "": none */
	bool read;                      /* its LogOpened is one */
};

struct key_history {
	struct directory *directory;
	struct key_history_key *keys;
	size_t count, capacity;
	struct seen *logs;
	size_t log_count, log_capacity;
	bool sorted;
};

const char *key_history_use_name(enum key_history_use use)
{
	static const char *const names[] = {"node", "mirror", "witness"};

	return names[use];
}

const char *key_history_end_name(enum key_history_end end)
{
	static const char *const names[] = {"live", "rotated", "replaced", "revoked"};

	return names[end];
}

/* --- life --- */

enum err key_history_new(const char *network, struct key_history **ret)
{
	struct key_history *history = mem_zalloc(sizeof(*history));
	enum err err;

	if (history == NULL)
		return ERR_NOMEM;
	err = directory_new(network, &history->directory);
	if (err != OK) {
		mem_free(history);
		return err;
	}
	*ret = history;
	return OK;
}

void key_history_free(struct key_history *history)
{
	if (history == NULL)
		return;
	directory_free(history->directory);
	mem_free(history->keys);
	mem_free(history->logs);
	mem_free(history);
}

const struct directory *key_history_directory(const struct key_history *history)
{
	return history->directory;
}

size_t key_history_count(const struct key_history *history)
{
	return history->count;
}

const struct key_history_key *key_history_at(const struct key_history *history, size_t i)
{
	return &history->keys[i];
}

/* --- the directory --- */

static enum err entry_odd(const struct key_history *history, struct bytes entry, const char *reason,
	struct findings *findings)
{
	uint64_t index = directory_size(history->directory) - 1;
	const char *origin = directory_origin(history->directory, NULL);
	struct finding finding;

	finding_say(&finding, FINDING_DIRECTORY_ODD, origin,
		"a record of the directory breaks its rules, and changes nothing: %s", reason);
	finding_index(&finding, index);
	finding_prove(&finding, "entry", entry);
	return findings_add(findings, &finding);
}

enum err key_history_entry(
	struct key_history *history, struct bytes entry, struct findings *findings)
{
	uint64_t odd = directory_odd(history->directory, NULL);
	const char *reason;

	TRY(directory_apply(history->directory, entry));
	if (directory_odd(history->directory, &reason) == odd)
		return OK;
	return entry_odd(history, entry, reason, findings);
}

static enum err make_room(struct key_history *history)
{
	size_t capacity = history->capacity == 0 ? 64 : 2 * history->capacity;
	struct key_history_key *keys;

	if (history->count + USES <= history->capacity)
		return OK;
	keys = mem_resize(history->keys, capacity * sizeof(*keys));
	if (keys == NULL)
		return ERR_NOMEM;
	history->keys = keys;
	history->capacity = capacity;
	return OK;
}

/* The three keys of one machine; `from` has all but use and key. */
static enum err add_keys(struct key_history *history, const struct key_history_key *from,
	const struct ed25519_public *const keys[USES])
{
	TRY(make_room(history));
	for (unsigned use = 0; use < USES; use++) {
		struct key_history_key *key = &history->keys[history->count++];

		*key = *from;
		key->use = (enum key_history_use)use;
		key->key = *keys[use];
	}
	return OK;
}

/* A machine that was revoked and replaced later ended when it was revoked. */
static void end_earlier(const struct key_history *history, struct key_history_key *key)
{
	const struct revocation *r;

	for (size_t i = 0; (r = directory_closing(history->directory, i)) != NULL; i++) {
		if (r->replaced || strcmp(r->name, key->node) != 0 || r->index <= key->came_index ||
			(key->end != HISTORY_LIVE && r->index > key->ended_index))
			continue;
		key->end = HISTORY_REVOKED;
		key->ended_index = r->index;
		key->ended_at = r->revoked_at;
		return;
	}
}

static enum err add_former(
	struct key_history *history, const struct member *member, const struct former *former)
{
	const struct ed25519_public *const keys[USES] = {
		&former->node, &former->mirror, &former->witness};
	const struct former *before = former->former;
	struct key_history_key key = {
		.node = member->name,
		.came_index = before == NULL ? member->admitted_index : before->index,
		.came_at = before == NULL ? member->made_at : before->ended_at,
		.end = former->replaced ? HISTORY_REPLACED : HISTORY_ROTATED,
		.ended_index = former->index,
		.ended_at = former->ended_at,
		.epoch = former->epoch,
	};

	if (former->replaced)
		end_earlier(history, &key);
	return add_keys(history, &key, keys);
}

static enum err add_member(struct key_history *history, const struct member *member)
{
	const struct ed25519_public *const keys[USES] = {
		&member->node, &member->mirror, &member->witness};
	const struct former *before = member->former;
	struct key_history_key key = {
		.node = member->name,
		.came_index = member->keys_index,
		.came_at = before == NULL ? member->made_at : before->ended_at,
		.end = HISTORY_LIVE,
	};

	if (!member->active)
		end_earlier(history, &key);
	for (const struct former *f = before; f != NULL; f = f->former)
		TRY(add_former(history, member, f));
	return add_keys(history, &key, keys);
}

static int by_node(const void *a, const void *b)
{
	const struct key_history_key *x = a, *y = b;
	int c = strcmp(x->node, y->node);

	if (c != 0)
		return c;
	if (x->use != y->use)
		return (int)x->use - (int)y->use;
	return (x->came_index > y->came_index) - (x->came_index < y->came_index);
}

enum err key_history_close(struct key_history *history)
{
	const struct member *member;

	history->count = 0;
	for (size_t i = 0; (member = directory_at(history->directory, i)) != NULL; i++)
		TRY(add_member(history, member));
	if (history->count > 0)
		qsort(history->keys, history->count, sizeof(*history->keys), by_node);
	return OK;
}

/* The first key of that node and use; count: past the end, or of another. */
static size_t first_key(
	const struct key_history *history, struct bytes node, enum key_history_use use)
{
	size_t low = 0, high = history->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct key_history_key *key = &history->keys[middle];
		int c = bytes_compare(bytes_str(key->node), node);

		if (c < 0 || (c == 0 && key->use < use))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The keys of one node and use, one after the other; NULL at the end. */
static const struct key_history_key *key_of(
	const struct key_history *history, size_t at, struct bytes node, enum key_history_use use)
{
	const struct key_history_key *key;

	if (at >= history->count)
		return NULL;
	key = &history->keys[at];
	return key->use == use && bytes_equal_str(node, key->node) ? key : NULL;
}

/* --- times --- */

static bool too_early(const struct key_history_key *key, uint64_t time_s)
{
	return time_s < key->came_at && key->came_at - time_s > HISTORY_SLACK_S;
}

static bool too_late(const struct key_history_key *key, uint64_t time_s)
{
	return key->end != HISTORY_LIVE && time_s > key->ended_at &&
	       time_s - key->ended_at > HISTORY_SLACK_S;
}

static uint64_t days(uint64_t from, uint64_t to)
{
	return (to - from) / (24 * 60 * 60);
}

/* What somebody did with a key, at a time; *ret_valid: then it was valid. */
struct deed {
	const char *origin, *what; /* "cosigned this checkpoint" */
	const struct key_history_key *key;
	uint64_t time_s;
	bool at_index_0;
	const char *proof;
	struct bytes data;
};

static enum err judge_time(const struct deed *deed, struct findings *findings, bool *ret_valid)
{
	const struct key_history_key *key = deed->key;
	struct finding finding;

	*ret_valid = true;
	if (too_early(key, deed->time_s))
		finding_say(&finding, FINDING_BEFORE_ADMISSION, deed->origin,
			"the %s key of '%s' %s %" PRIu64
			" days before it was admitted (record %" PRIu64 " of the directory)",
			key_history_use_name(key->use), key->node, deed->what,
			days(deed->time_s, key->came_at), key->came_index);
	else if (too_late(key, deed->time_s))
		finding_say(&finding, FINDING_KEY_REVOKED, deed->origin,
			"the %s key of '%s' %s %" PRIu64 " days after it was %s (record %" PRIu64
			" of the directory)",
			key_history_use_name(key->use), key->node, deed->what,
			days(key->ended_at, deed->time_s), key_history_end_name(key->end),
			key->ended_index);
	else
		return OK;
	*ret_valid = false;
	if (deed->at_index_0)
		finding_index(&finding, 0);
	finding_prove(&finding, deed->proof, deed->data);
	return findings_add(findings, &finding);
}

/* --- cosignatures --- */

/* "<network>/mirror/<node>", "<network>/witness/<node>" */
static bool cosigner_name(const struct key_history *history, struct bytes name,
	enum key_history_use *ret, struct bytes *ret_node)
{
	const char *network = directory_network(history->directory);

	for (unsigned use = HISTORY_MIRROR; use <= HISTORY_WITNESS; use++) {
		char prefix[LIMIT_NETWORK_NAME + 16];
		size_t size = (size_t)snprintf(prefix, sizeof(prefix), "%s/%s/", network,
			key_history_use_name((enum key_history_use)use));

		if (name.size > size && memcmp(name.data, prefix, size) == 0) {
			*ret = (enum key_history_use)use;
			*ret_node = bytes_make(name.data + size, name.size - size);
			return true;
		}
	}
	return false;
}

static enum err key_verifies(const struct key_history *history, const struct key_history_key *key,
	const struct note_line *line, struct bytes text, uint64_t *ret_time_s, bool *ret)
{
	struct bytes network = bytes_str(directory_network(history->directory));
	struct bytes node = bytes_str(key->node);
	struct note_key note_key;
	enum err err = key->use == HISTORY_MIRROR
			       ? mirror_note_key(network, node, &key->key, &note_key)
			       : witness_note_key(network, node, &key->key, &note_key);

	*ret = false;
	if (err == OK && note_key.id == line->id)
		err = cosignature_verify(line, text, &note_key, ret_time_s);
	else if (err == OK)
		return OK;
	*ret = err == OK;
	return err == ERR_NOMEM || err == ERR_CRYPTO ? err : OK;
}

static enum err find_cosigner(const struct key_history *history, const struct note_line *line,
	struct bytes text, struct key_history_cosigner *ret)
{
	enum key_history_use use;
	struct bytes node;
	bool good = false;

	ret->key = NULL;
	if (!cosigner_name(history, line->name, &use, &node))
		return OK;
	for (size_t i = first_key(history, node, use); ret->key == NULL; i++) {
		const struct key_history_key *key = key_of(history, i, node, use);

		if (key == NULL)
			return OK;
		TRY(key_verifies(history, key, line, text, &ret->time_s, &good));
		if (good)
			ret->key = key;
	}
	return OK;
}

static enum err judge_lines(const struct key_history *history, const char *origin,
	const struct note *note, struct bytes data, struct key_history_note *ret,
	struct findings *findings)
{
	for (size_t i = 0; i < note->count; i++) {
		struct key_history_cosigner *cosigner = &ret->cosigners[ret->count];
		struct deed deed = {.origin = origin,
			.what = "cosigned this checkpoint",
			.proof = "checkpoint",
			.data = data};

		TRY(find_cosigner(history, &note->lines[i], note->text, cosigner));
		if (cosigner->key == NULL)
			continue;
		deed.key = cosigner->key;
		deed.time_s = cosigner->time_s;
		TRY(judge_time(&deed, findings, &cosigner->valid));
		if (cosigner->valid && cosigner->time_s > ret->newest_s)
			ret->newest_s = cosigner->time_s;
		ret->count++;
	}
	return OK;
}

enum err key_history_note(const struct key_history *history, const char *origin, struct bytes data,
	struct key_history_note *ret, struct findings *findings)
{
	struct note *note = mem_alloc(sizeof(*note));
	enum err err;

	ret->count = 0;
	ret->newest_s = 0;
	if (note == NULL)
		return ERR_NOMEM;
	err = note_parse(data, note, NULL);
	if (err == OK)
		err = judge_lines(history, origin, note, data, ret, findings);
	else if (err != ERR_NOMEM)
		err = OK; /* whoever opened it has said so */
	mem_free(note);
	return err;
}

/* --- how a log was opened --- */

static enum err add_log(struct key_history *history, const char *origin, struct seen **ret)
{
	struct seen *logs = history->logs;

	if (history->log_count == LIMIT_LOGS)
		return ERR_LIMIT;
	if (history->log_count == history->log_capacity) {
		size_t capacity = history->log_capacity == 0 ? 16 : 2 * history->log_capacity;

		logs = mem_resize(logs, capacity * sizeof(*logs));
		if (logs == NULL)
			return ERR_NOMEM;
		history->logs = logs;
		history->log_capacity = capacity;
	}
	logs += history->log_count++;
	*logs = (struct seen){.read = false};
	snprintf(logs->origin.text, sizeof(logs->origin.text), "%s", origin);
	history->sorted = false;
	*ret = logs;
	return OK;
}

static enum err signed_by(struct bytes entry, const struct key_history_key *key, bool *ret)
{
	struct log_opened opened;
	struct arena arena;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = log_opened_read(entry, &key->key, &arena, &opened, NULL);
	arena_release(&arena);
	*ret = err == OK;
	return err == ERR_NOMEM || err == ERR_CRYPTO ? err : OK;
}

/* The key of this node that signed it; NULL: none did. The one that should have (*ret_due) is asked
 * first: names may have had many. */
static enum err find_opener(const struct key_history *history, const char *origin,
	struct bytes entry, const struct key_history_key **ret, bool *ret_due)
{
	const struct ed25519_public *due = directory_opener(history->directory, origin);
	const struct key_history_key *key;
	struct bytes node;
	uint32_t counter;

	*ret = NULL;
	*ret_due = false;
	if (!log_origin_read(origin, &node, &counter))
		return OK;
	for (unsigned pass = 0; pass < 2; pass++) {
		*ret_due = pass == 0;
		for (size_t i = first_key(history, node, HISTORY_NODE);
			(key = key_of(history, i, node, HISTORY_NODE)) != NULL; i++) {
			bool good = bytes_equal(BYTES_ARRAY(key->key.b), BYTES_ARRAY(due->b));

			if (good != *ret_due)
				continue;
			TRY(signed_by(entry, key, &good));
			if (good) {
				*ret = key;
				return OK;
			}
		}
	}
	return OK;
}

static enum err wrong_opener(const char *origin, const struct key_history_key *key,
	struct bytes entry, uint32_t counter, struct findings *findings)
{
	struct finding finding;

	if (key == NULL)
		finding_say(&finding, FINDING_KEY_NOT_ADMITTED, origin,
			"it was opened by a key that the directory never gave to a node of this "
			"name");
	else if (key->end != HISTORY_LIVE && counter > key->epoch)
		finding_say(&finding, FINDING_KEY_REVOKED, origin,
			"it was opened by a key of '%s' that was %s, and counts for logs up to "
			"number %" PRIu32 " (record %" PRIu64 " of the directory)",
			key->node, key_history_end_name(key->end), key->epoch, key->ended_index);
	else
		finding_say(&finding, FINDING_BEFORE_ADMISSION, origin,
			"it was opened by a key of '%s' that counts for later logs alone (record "
			"%" PRIu64 " of the directory)",
			key->node, key->came_index);
	finding_index(&finding, 0);
	finding_prove(&finding, "entry", entry);
	return findings_add(findings, &finding);
}

static enum err judge_opened(const struct key_history *history, const char *origin,
	struct bytes entry, const struct log_opened *opened, struct findings *findings)
{
	struct deed deed = {.origin = origin,
		.what = "opened this log",
		.time_s = opened->opened_at,
		.at_index_0 = true,
		.proof = "entry",
		.data = entry};
	struct bytes node;
	uint32_t counter;
	bool due, valid;

	/* Of who is no member: whoever reads the log has said so. */
	if (!log_origin_read(origin, &node, &counter) ||
		directory_opener(history->directory, origin) == NULL)
		return OK;
	TRY(find_opener(history, origin, entry, &deed.key, &due));
	if (deed.key == NULL || !due)
		return wrong_opener(origin, deed.key, entry, counter, findings);
	return judge_time(&deed, findings, &valid);
}

enum err key_history_opened(struct key_history *history, const char *origin, struct bytes entry,
	struct findings *findings)
{
	struct log_opened opened;
	struct arena arena;
	struct seen *seen;
	enum err err;

	TRY(add_log(history, origin, &seen));
	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = log_opened_read(entry, NULL, &arena, &opened, NULL);
	if (err == OK && strcmp(opened.origin, origin) == 0) {
		seen->read = true;
		snprintf(seen->previous.text, sizeof(seen->previous.text), "%s",
			opened.previous_origin);
		err = judge_opened(history, origin, entry, &opened, findings);
	} else if (err != ERR_NOMEM) {
		err = OK; /* the walk has said so */
	}
	arena_release(&arena);
	return err;
}

/* --- how far a log counts --- */

static enum err beyond(const struct checkpoint *checkpoint, const struct revoked_log *last,
	struct bytes note, struct findings *findings)
{
	struct finding finding;

	if (last == NULL)
		finding_say(&finding, FINDING_BEYOND_REVOCATION, checkpoint->origin.text,
			"its author was cut off, and nothing of this log was recorded then: none "
			"of "
			"its entries counts");
	else
		finding_say(&finding, FINDING_BEYOND_REVOCATION, checkpoint->origin.text,
			"its author was cut off at %" PRIu64 " entries, and it has %" PRIu64,
			last->size, checkpoint->size);
	finding_index(&finding, last == NULL ? 0 : last->size);
	finding_prove(&finding, "checkpoint", note);
	return findings_add(findings, &finding);
}

/* The checkpoint that a revocation records, as it was signed. */
static enum err recorded_note(
	const struct revoked_log *last, const struct note_key *key, struct buf *out)
{
	struct checkpoint checkpoint = {.size = last->size, .root = last->root};

	memcpy(checkpoint.origin.text, last->origin, sizeof(last->origin));
	checkpoint_format(out, &checkpoint);
	buf_put_str(out, "\n");
	TRY(note_line_write(out, key, BYTES_ARRAY(last->signature.b)));
	return out->err;
}

/* The root at the recorded size, and the proof that the checkpoint's tree had it. */
static enum err root_then(const struct key_history_size *size, const struct checkpoint *checkpoint,
	uint64_t at, struct hash *ret_root, struct proof *ret_proof)
{
	if (at == checkpoint->size) {
		*ret_root = checkpoint->root;
		ret_proof->count = 0;
		return OK;
	}
	if (size->tree == NULL)
		return ERR_NOTFOUND;
	TRY(tree_root(size->tree, at, ret_root));
	TRY(tree_prove_consistency(size->tree, at, checkpoint->size, ret_proof));
	return proof_consistency_ok(ret_proof, at, ret_root, checkpoint->size, &checkpoint->root)
		       ? OK
		       : ERR_PROOF;
}

static enum err forked(const struct key_history_size *size, const struct checkpoint *checkpoint,
	const struct revoked_log *last, const struct evidence_parts *parts,
	struct findings *findings)
{
	CLEANUP(buf_release) struct buf evidence;
	struct finding finding;
	enum err err;

	buf_init(&evidence, LIMIT_EVIDENCE_SIZE);
	finding_say(&finding, FINDING_FORK, checkpoint->origin.text,
		"its first %" PRIu64
		" entries are not those that headquarters recorded when its author was cut off",
		last->size);
	finding_prove(&finding, "recorded checkpoint", parts->a);
	finding_prove(&finding, "checkpoint", size->note);
	err = evidence_make(parts, size->key, &evidence, NULL);
	if (err == ERR_NOMEM || err == ERR_CRYPTO)
		return err;
	if (err == OK)
		finding_prove(&finding, "evidence", buf_bytes(&evidence));
	return findings_add(findings, &finding);
}

static enum err compare_recorded(const struct key_history_size *size,
	const struct checkpoint *checkpoint, const struct revoked_log *last,
	struct findings *findings)
{
	CLEANUP(buf_release) struct buf note;
	struct evidence_parts parts = {.b = size->note, .opened = size->opened};
	struct proof proof = {.count = 0};
	struct hash root;
	enum err err = root_then(size, checkpoint, last->size, &root, &proof);

	buf_init(&note, LIMIT_NOTE_SIZE);
	if (err == ERR_NOMEM || err == ERR_CRYPTO)
		return err;
	if (err != OK && size->root_at == NULL)
		return OK;
	if (hash_equal(err == OK ? &root : size->root_at, &last->root))
		return OK;
	TRY(recorded_note(last, size->key, &note));
	parts.a = buf_bytes(&note);
	if (err == OK && last->size < checkpoint->size) {
		parts.root = &root;
		parts.proof = &proof;
	}
	return forked(size, checkpoint, last, &parts, findings);
}

enum err key_history_size(const struct key_history *history, const struct key_history_size *size,
	struct findings *findings)
{
	struct checkpoint checkpoint;
	const struct revoked_log *last;
	enum err err = checkpoint_peek(size->note, &checkpoint, NULL);
	bool closed;

	if (err != OK)
		return err == ERR_NOMEM ? err : OK;
	last = directory_last(history->directory, checkpoint.origin.text, &closed);
	if (last == NULL && !closed)
		return OK;
	if (last == NULL || checkpoint.size > last->size)
		TRY(beyond(&checkpoint, last, size->note, findings));
	if (last == NULL || checkpoint.size < last->size)
		return OK;
	return compare_recorded(size, &checkpoint, last, findings);
}

/* --- which logs there must be --- */

static int by_origin(const void *a, const void *b)
{
	return strcmp(((const struct seen *)a)->origin.text, ((const struct seen *)b)->origin.text);
}

static const struct seen *find_log(const struct key_history *history, const char *origin)
{
	struct seen key;

	if (history->log_count == 0)
		return NULL;
	snprintf(key.origin.text, sizeof(key.origin.text), "%s", origin);
	return bsearch(&key, history->logs, history->log_count, sizeof(*history->logs), by_origin);
}

/* The highest number of a log of that node; 0: there is none. */
static uint32_t newest_log(const struct key_history *history, struct bytes node)
{
	uint32_t newest = 0;

	for (size_t i = 0; i < history->log_count; i++) {
		struct bytes whose;
		uint32_t counter;

		if (log_origin_read(history->logs[i].origin.text, &whose, &counter) &&
			bytes_equal(whose, node) && counter > newest)
			newest = counter;
	}
	return newest;
}

bool key_history_ended(const struct key_history *history, const char *origin)
{
	struct bytes node;
	uint32_t counter;
	bool closed;

	if (!log_origin_read(origin, &node, &counter))
		return true;
	return directory_last(history->directory, origin, &closed) != NULL || closed ||
	       newest_log(history, node) > counter;
}

static enum err member_missing(const struct member *member, bool any, struct findings *findings)
{
	struct finding finding;

	finding_say(&finding, FINDING_LOG_MISSING, NULL,
		"'%s' is a member since record %" PRIu64 " of the directory, and %s is here",
		member->name, member->admitted_index,
		any ? "no log of the machine that it has now" : "no log of it");
	return findings_add(findings, &finding);
}

static enum err judge_members(const struct key_history *history, struct findings *findings)
{
	const struct member *member;

	for (size_t i = 0; (member = directory_at(history->directory, i)) != NULL; i++) {
		uint32_t newest = newest_log(history, bytes_str(member->name)), least = 0;

		for (const struct former *f = member->former; f != NULL && least == 0;
			f = f->former)
			if (f->replaced)
				least = f->epoch;
		if (member->active && newest <= least)
			TRY(member_missing(member, newest > 0, findings));
	}
	return OK;
}

/* The first log of a machine that took another's name has no previous one. */
static bool may_begin(const struct key_history *history, struct bytes node, uint32_t counter)
{
	const struct member *member = directory_find(history->directory, node);

	if (counter == 1)
		return true;
	for (const struct former *f = member == NULL ? NULL : member->former; f != NULL;
		f = f->former)
		if (f->replaced && counter == f->epoch + 1)
			return true;
	return false;
}

static bool has_number(const struct key_history *history, struct bytes node, uint32_t number)
{
	for (size_t i = 0; i < history->log_count; i++) {
		struct bytes whose;
		uint32_t counter;

		if (log_origin_read(history->logs[i].origin.text, &whose, &counter) &&
			bytes_equal(whose, node) && counter == number)
			return true;
	}
	return false;
}

/* A node numbers its next log one behind the newest that it has, and may name an older one before
 * it (its guard did not know the others): then the newest is there. Else it was left out. */
static bool skips(const struct key_history *history, const char *previous, struct bytes node,
	uint32_t counter)
{
	struct bytes whose;
	uint32_t before;

	return log_origin_read(previous, &whose, &before) && before + UINT64_C(1) < counter &&
	       !has_number(history, node, counter - 1);
}

static enum err judge_previous(
	const struct key_history *history, const struct seen *log, struct findings *findings)
{
	const char *previous = log->previous.text;
	struct finding finding;
	struct bytes node;
	uint32_t counter;

	if (!log->read || !log_origin_read(log->origin.text, &node, &counter))
		return OK;
	if (previous[0] == '\0' && !may_begin(history, node, counter))
		finding_say(&finding, FINDING_EPOCH_GAP, log->origin.text,
			"it is number %" PRIu32
			" of its node, and names no log before it: what came before is cut off",
			counter);
	else if (previous[0] != '\0' && find_log(history, previous) == NULL)
		finding_say(&finding, FINDING_EPOCH_GAP, log->origin.text,
			"it goes on from the log '%s', which is not here", previous);
	else if (previous[0] != '\0' && skips(history, previous, node, counter))
		finding_say(&finding, FINDING_EPOCH_GAP, log->origin.text,
			"it is number %" PRIu32
			" of its node, names '%s' as the log before it, and number %" PRIu32
			" is not here: one was left out",
			counter, previous, counter - 1);
	else
		return OK;
	finding_index(&finding, 0);
	return findings_add(findings, &finding);
}

enum err key_history_missing(struct key_history *history, struct findings *findings)
{
	if (!history->sorted && history->log_count > 0)
		qsort(history->logs, history->log_count, sizeof(*history->logs), by_origin);
	history->sorted = true;
	for (size_t i = 0; i < history->log_count; i++)
		TRY(judge_previous(history, &history->logs[i], findings));
	return judge_members(history, findings);
}

/* --- evidence --- */

/* By the node key that the directory names for the log, or by a key of the log itself. */
static enum err verify_evidence(const struct key_history *history, const struct note_key *key,
	const struct evidence *evidence, struct errctx *ctx)
{
	const char *origin = evidence->smaller.origin.text;
	const struct directory *directory = history == NULL ? NULL : history->directory;
	const struct ed25519_public *node =
		directory == NULL ? NULL : directory_opener(directory, origin);
	struct ed25519_public log_key;
	struct note_key own;

	if (evidence->other.size > 0)
		return node == NULL ? err_set(ctx, ERR_UNTRUSTED,
					      "nobody is known whose log that would be")
				    : evidence_verify_keys(evidence, node, ctx);
	if (key != NULL && strcmp(key->name, origin) == 0)
		return evidence_verify(evidence, key, ctx);
	if (directory != NULL && directory_origin(directory, &log_key) != NULL &&
		strcmp(directory_origin(directory, NULL), origin) == 0)
		TRY(log_note_key(&evidence->smaller.origin, &log_key, &own));
	else if (node != NULL)
		TRY(evidence_key(evidence, node, &own, ctx));
	else
		return err_set(ctx, ERR_UNTRUSTED, "nobody is known whose log that would be");
	return evidence_verify(evidence, &own, ctx);
}

static enum err held(
	const struct evidence *evidence, struct bytes message, struct findings *findings)
{
	bool keys = evidence->other.size > 0;
	struct finding finding;

	if (keys)
		finding_say(&finding, FINDING_EVIDENCE_HELD, evidence->smaller.origin.text,
			"proof that its author opened it twice, with two keys");
	else
		finding_say(&finding, FINDING_EVIDENCE_HELD, evidence->smaller.origin.text,
			"proof that its key signed two histories, of %" PRIu64 " and of %" PRIu64
			" entries",
			evidence->smaller.size, evidence->larger.size);
	finding_prove(&finding, "evidence", message);
	return findings_add(findings, &finding);
}

static enum err not_held(
	const char *origin, struct bytes message, const char *why, struct findings *findings)
{
	struct finding finding;

	finding_say(&finding, FINDING_EVIDENCE_BAD, origin,
		"what the source holds as proof of a fork proves nothing: %s", why);
	finding_prove(&finding, "evidence", message);
	return findings_add(findings, &finding);
}

enum err key_history_evidence(const struct key_history *history, const struct note_key *key,
	struct bytes message, struct findings *findings)
{
	struct errctx ctx = {""};
	struct evidence evidence;
	struct arena arena;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = evidence_parse(message, &arena, &evidence, &ctx);
	if (err != OK && err != ERR_NOMEM) {
		err = not_held(NULL, message, err_message(&ctx, err), findings);
	} else if (err == OK) {
		err = verify_evidence(history, key, &evidence, &ctx);
		if (err == OK)
			err = held(&evidence, message, findings);
		else if (err != ERR_NOMEM && err != ERR_CRYPTO)
			err = not_held(evidence.smaller.origin.text, message,
				err_message(&ctx, err), findings);
	}
	arena_release(&arena);
	return err;
}
