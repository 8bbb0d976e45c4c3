#include "server/keys/refused.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"
#include "server/internal.h"
#include "server/log.h"
#include "server/mail.h"

enum { ROW_MAX = 256, NAME_DIGITS = 16 };

struct refusal {
	char name[NAME_DIGITS + 1]; /* of its row: the beginning of the item's hash */
	char sender[LIMIT_NODE_NAME + 1];
	uint32_t kind, reason;
	uint64_t at, made_at;
};
/* In the order in which they came, oldest first. */
struct mail_refusals {
	struct refusal list[LIMIT_REFUSALS];
	size_t count;
	uint64_t since_start;
};

const char *mail_refusal_name(uint32_t reason)
{
	static const char *const names[] = {
		"other", "form", "sender", "keys", "case", "erased", "ended", "signer"};

	return names[reason < sizeof(names) / sizeof(names[0]) ? reason : 0];
}

static struct mail_refusals *refusals(struct runtime *rt)
{
	if (rt->mail->refusals == NULL)
		rt->mail->refusals = mem_zalloc(sizeof(*rt->mail->refusals));
	if (rt->mail->refusals == NULL)
		runtime_out_of_memory();
	return rt->mail->refusals;
}

void refused_free(struct runtime *rt)
{
	mem_free(rt->mail->refusals);
	rt->mail->refusals = NULL;
}

/* Rows come in the order of their names. */
static void insert(struct mail_refusals *r, const struct refusal *refusal)
{
	size_t at = r->count;

	while (at > 0 && r->list[at - 1].at > refusal->at)
		at--;
	memmove(&r->list[at + 1], &r->list[at], (r->count - at) * sizeof(r->list[0]));
	r->list[at] = *refusal;
	r->count++;
}

enum err refused_load(struct runtime *rt, struct bytes name, struct bytes value)
{
	struct mail_refusals *r = refusals(rt);
	CLEANUP(arena_release) struct arena arena;
	struct refusal refusal = {.kind = 0};
	Sauti__RefusedMail *row;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (name.size != NAME_DIGITS || r->count == LIMIT_REFUSALS ||
		CODEC_UNPACK(refused_mail, value, &scan_limits_default, &arena, &row, NULL) != OK ||
		!node_name_valid(bytes_str(row->sender)))
		return OK;
	memcpy(refusal.name, name.data, NAME_DIGITS);
	snprintf(refusal.sender, sizeof(refusal.sender), "%s", row->sender);
	refusal.kind = row->kind;
	refusal.reason = row->reason;
	refusal.at = row->at;
	refusal.made_at = row->made_at;
	insert(r, &refusal);
	return OK;
}

static void save(struct runtime *rt, const struct refusal *refusal)
{
	CLEANUP(buf_release) struct buf packed;
	Sauti__RefusedMail row = SAUTI__REFUSED_MAIL__INIT;

	buf_init(&packed, ROW_MAX);
	row.sender = (char *)refusal->sender;
	row.kind = refusal->kind;
	row.reason = refusal->reason;
	row.at = refusal->at;
	row.made_at = refusal->made_at;
	codec_pack(&packed, &row);
	if (packed.err == OK)
		mail_note_put(rt, MAIL_NOTE_REFUSED, refusal->name, buf_bytes(&packed));
}

static void drop_oldest(struct runtime *rt, struct mail_refusals *r)
{
	mail_note_put(rt, MAIL_NOTE_REFUSED, r->list[0].name, BYTES_NONE);
	memmove(&r->list[0], &r->list[1], --r->count * sizeof(r->list[0]));
}

/* One item may be judged again, after a crash before its end: once is enough. */
static bool is_known(const struct mail_refusals *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->list[i].name, name) == 0)
			return true;
	return false;
}

void mail_refuse(struct runtime *rt, const struct hash *item, const struct mail_refused *refused)
{
	struct mail_refusals *r = refusals(rt);
	struct refusal refusal = {
		.kind = refused->kind,
		.reason = refused->reason,
		.at = runtime_wall_s(),
		.made_at = refused->made_at,
	};
	char hex[2 * HASH_SIZE + 1];

	hex_encode(hash_bytes(item), hex);
	memcpy(refusal.name, hex, NAME_DIGITS);
	snprintf(refusal.sender, sizeof(refusal.sender), "%s", refused->sender);
	if (is_known(r, refusal.name))
		return;
	r->since_start++;
	if (r->count == LIMIT_REFUSALS)
		drop_oldest(rt, r);
	insert(r, &refusal);
	save(rt, &refusal);
	if (log_gate(&rt->alarm_gate, uv_now(&rt->loop)))
		log_line(LOG_ALARM, "mail of '%s' was refused: %s", refusal.sender,
			mail_refusal_name(refusal.reason));
}

static const char *kind_name(uint32_t kind)
{
	static const char *const names[] = {"unknown", "notice", "addresses", "complaint", "grant",
		"grant answer", "erasure order", "erasure receipt", "erasure hold", "escrow keys",
		"escrow held", "approval asked", "approval"};

	return names[kind < sizeof(names) / sizeof(names[0]) ? kind : 0];
}

json_t *refused_json(const struct runtime *rt, size_t i)
{
	const struct mail_refusals *r = rt->mail->refusals;
	const struct refusal *refusal;

	if (r == NULL || i >= r->count)
		return NULL;
	refusal = &r->list[r->count - 1 - i];
	return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "id", refusal->name, "from", refusal->sender,
		"kind", kind_name(refusal->kind), "reason", mail_refusal_name(refusal->reason),
		"at", (json_int_t)refusal->at, "made_at", (json_int_t)refusal->made_at);
}

json_t *refused_status_json(const struct runtime *rt)
{
	const struct mail_refusals *r = rt->mail->refusals;
	json_t *newest = refused_json(rt, 0);

	return json_pack("{s:I,s:I,s:o}", "count", (json_int_t)(r == NULL ? 0 : r->count),
		"since_start", (json_int_t)(r == NULL ? 0 : r->since_start), "newest",
		newest == NULL ? json_null() : newest);
}
