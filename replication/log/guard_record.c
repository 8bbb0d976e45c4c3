#include "replication/log/guard_record.h"

#include <assert.h>
#include <inttypes.h>

#include "base/cursor.h"

/* docs/FORMAT, Guard, has the layout of a slot. */
static const char magic[] = "SAUTIGRD";
enum { BODY_SIZE = GUARD_SLOT_SIZE - HASH_SIZE, FLAG_STOPPED = 1, FLAG_RENEW = 2 };
enum { FLAG_DIRECTORY_ENDED = 4, FLAGS = 7 };

static bool is_directory(const char *origin)
{
	struct origin_parts parts;

	return origin_parse(bytes_str(origin), NULL, &parts) == OK &&
	       bytes_equal_str(parts.node, "directory");
}

struct guard_log *guard_record_log(struct guard_record *record, const char *origin)
{
	for (size_t i = 0; i < record->log_count; i++)
		if (strcmp(record->logs[i].origin.text, origin) == 0)
			return &record->logs[i];
	return NULL;
}

struct guard_log *guard_record_own(struct guard_record *record)
{
	for (size_t i = 0; i < record->log_count; i++)
		if (!is_directory(record->logs[i].origin.text))
			return &record->logs[i];
	return NULL;
}

/* Into the slot itself: a guard that follows a commit must not need memory. */
struct slot {
	uint8_t *bytes;
	size_t size;
};

static uint8_t *slot_room(struct slot *slot, size_t size)
{
	uint8_t *room = slot->bytes + slot->size;

	assert(size <= BODY_SIZE - slot->size); /* the caps of names are far below a slot */
	slot->size += size;
	return room;
}

static void slot_put(struct slot *slot, struct bytes bytes)
{
	uint8_t *room = slot_room(slot, bytes.size);

	if (bytes.size > 0)
		memcpy(room, bytes.data, bytes.size);
}

static void slot_text(struct slot *slot, const char *text)
{
	struct bytes bytes = bytes_str(text);

	put_u16be(slot_room(slot, 2), (uint16_t)bytes.size);
	slot_put(slot, bytes);
}

void guard_record_write(const struct guard_record *record, uint8_t ret[GUARD_SLOT_SIZE])
{
	struct slot slot = {ret, 0};
	struct hash sum;

	memset(ret, 0, GUARD_SLOT_SIZE);
	slot_put(&slot, bytes_str(magic));
	put_u32be(slot_room(&slot, 4), GUARD_VERSION);
	put_u64be(slot_room(&slot, 8), record->sequence);
	slot_text(&slot, record->network);
	slot_text(&slot, record->node);
	put_u64be(slot_room(&slot, 8), record->commit);
	*slot_room(&slot, 1) =
		(uint8_t)((record->stopped ? FLAG_STOPPED : 0) | (record->renew ? FLAG_RENEW : 0) |
			  (record->directory_ended ? FLAG_DIRECTORY_ENDED : 0));
	slot_text(&slot, record->why);
	slot_text(&slot, record->next.text);
	*slot_room(&slot, 1) = (uint8_t)record->log_count;
	for (size_t i = 0; i < record->log_count; i++) {
		slot_text(&slot, record->logs[i].origin.text);
		put_u64be(slot_room(&slot, 8), record->logs[i].size);
		slot_put(&slot, hash_bytes(&record->logs[i].root));
	}
	sha256(bytes_make(ret, BODY_SIZE), &sum);
	memcpy(ret + BODY_SIZE, sum.b, HASH_SIZE);
}

static void take_text(struct cursor *in, char *ret, size_t max)
{
	struct bytes text = cursor_lv16(in);

	if (text.size > max || memchr(text.data == NULL ? "" : (const char *)text.data, 0,
				       text.data == NULL ? 0 : text.size) != NULL) {
		in->err = ERR_MALFORMED;
		return;
	}
	if (text.size > 0)
		memcpy(ret, text.data, text.size);
	ret[text.size] = '\0';
}

static void take_origin(struct cursor *in, bool may_be_empty, struct origin *ret)
{
	take_text(in, ret->text, LIMIT_ORIGIN);
	if (in->err == OK && !(may_be_empty && ret->text[0] == '\0') &&
		origin_parse(bytes_str(ret->text), NULL, NULL) != OK)
		in->err = ERR_MALFORMED;
}

enum err guard_record_read(struct bytes slot, struct guard_record *ret)
{
	struct cursor in = cursor_make(slot);
	struct guard_record record = {0};
	struct hash sum;
	uint8_t flags;

	if (slot.size != GUARD_SLOT_SIZE)
		return ERR_CORRUPT;
	sha256(bytes_make(slot.data, BODY_SIZE), &sum);
	if (memcmp(slot.data + BODY_SIZE, sum.b, HASH_SIZE) != 0 ||
		!cursor_skip(&in, bytes_str(magic)))
		return ERR_CORRUPT;
	if (cursor_u32be(&in) != GUARD_VERSION)
		return ERR_VERSION;
	record.sequence = cursor_u64be(&in);
	take_text(&in, record.network, LIMIT_NETWORK_NAME);
	take_text(&in, record.node, LIMIT_NODE_NAME);
	record.commit = cursor_u64be(&in);
	flags = cursor_u8(&in);
	record.stopped = (flags & FLAG_STOPPED) != 0;
	record.renew = (flags & FLAG_RENEW) != 0;
	record.directory_ended = (flags & FLAG_DIRECTORY_ENDED) != 0;
	take_text(&in, record.why, GUARD_WHY_MAX);
	take_origin(&in, true, &record.next);
	record.log_count = cursor_u8(&in);
	if (record.log_count > GUARD_LOGS_MAX)
		return ERR_CORRUPT;
	for (size_t i = 0; i < record.log_count; i++) {
		take_origin(&in, false, &record.logs[i].origin);
		record.logs[i].size = cursor_u64be(&in);
		cursor_copy(&in, record.logs[i].root.b, HASH_SIZE);
	}
	if (in.err != OK || (flags & ~FLAGS) != 0)
		return ERR_CORRUPT;
	*ret = record;
	return OK;
}

/* ---- judging ---- */

static enum guard_verdict judge_absent(const struct guard_facts *facts, struct errctx *why)
{
	if (facts->lost) {
		err_set(why, OK,
			"its store and its guard are missing, and its keys were used before: what "
			"it signed is not known here");
		return GUARD_OTHER;
	}
	if (!facts->guarded)
		return GUARD_NEW;
	err_set(why, OK,
		"its guard is missing or unreadable: the data was copied from elsewhere, or the "
		"guard was removed");
	return GUARD_OTHER;
}

/* Of one log: SAME, BEHIND or OTHER. */
static enum guard_verdict judge_log(const struct guard_record *record,
	const struct guard_facts *facts, size_t i, struct errctx *why)
{
	const struct guard_log *log = &record->logs[i];

	if (log->size == 0)
		return GUARD_SAME;
	if (facts->logs[i].size < log->size) {
		err_set(why, OK,
			"log '%s' has %" PRIu64 " entries, and had %" PRIu64
			" before: older data was put back, or the disk lost some",
			log->origin.text, facts->logs[i].size, log->size);
		return GUARD_BEHIND;
	}
	if (hash_equal(&facts->logs[i].root, &log->root))
		return GUARD_SAME;
	err_set(why, OK,
		"log '%s' is not the one that was signed: its first %" PRIu64 " entries differ",
		log->origin.text, log->size);
	return GUARD_OTHER;
}

static enum guard_verdict judge_logs(
	const struct guard_record *record, const struct guard_facts *facts, struct errctx *why)
{
	enum guard_verdict worst = GUARD_SAME;

	for (size_t i = 0; i < record->log_count; i++) {
		struct errctx said = {""};
		enum guard_verdict verdict;

		/* Given up: the next one has begun. */
		if (facts->next_begun && !is_directory(record->logs[i].origin.text))
			continue;
		verdict = judge_log(record, facts, i, &said);
		if (verdict > worst) {
			worst = verdict;
			*why = said;
		}
	}
	return worst;
}

enum guard_verdict guard_judge(
	const struct guard_record *record, const struct guard_facts *facts, struct errctx *ret_why)
{
	enum guard_verdict verdict;

	*ret_why = (struct errctx){""};
	if (facts->backup) {
		err_set(ret_why, OK, "it was restored from a backup");
		return GUARD_OTHER;
	}
	if (record == NULL)
		return judge_absent(facts, ret_why);
	verdict = judge_logs(record, facts, ret_why);
	if (verdict == GUARD_OTHER)
		return verdict;
	if (facts->commit > record->commit && facts->commit - record->commit > 1) {
		err_set(ret_why, OK,
			"the store has commits that its guard does not know: it was used "
			"elsewhere, or the guard is an old one");
		return GUARD_OTHER;
	}
	if (record->renew && !facts->next_begun) {
		err_set(ret_why, OK, "%s", record->why);
		return GUARD_OTHER;
	}
	if (verdict == GUARD_BEHIND)
		return verdict;
	if (record->stopped && !facts->next_begun) {
		err_set(ret_why, OK, "%s", record->why);
		return GUARD_STOPPED;
	}
	if (facts->commit >= record->commit)
		return GUARD_SAME;
	err_set(ret_why, OK,
		"this node's own log is whole, but the store had %" PRIu64
		" commits more: older data was put back",
		record->commit - facts->commit);
	return GUARD_ROLLED;
}

const char *guard_verdict_name(enum guard_verdict verdict)
{
	static const char *const names[] = {
		[GUARD_NEW] = "new",
		[GUARD_SAME] = "same",
		[GUARD_ROLLED] = "rolled-back",
		[GUARD_BEHIND] = "behind",
		[GUARD_STOPPED] = "stopped",
		[GUARD_OTHER] = "other",
	};

	return names[verdict];
}
