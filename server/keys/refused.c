#include "server/keys/refused.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"
#include "server/internal.h"
#include "server/keys/refusal_list.h"
#include "server/log.h"
#include "server/mail.h"

enum { ROW_MAX = 256 };

struct mail_refusals {
	struct refusal_list kept;
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

enum err refused_load(struct runtime *rt, struct bytes name, struct bytes value)
{
	struct mail_refusals *r = refusals(rt);
	CLEANUP(arena_release) struct arena arena;
	struct refusal refusal = {.kind = 0}, dropped;
	Sauti__RefusedMail *row;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (name.size != REFUSAL_NAME_SIZE ||
		CODEC_UNPACK(refused_mail, value, &scan_limits_default, &arena, &row, NULL) != OK ||
		!node_name_valid(bytes_str(row->sender)))
		return OK;
	memcpy(refusal.name, name.data, REFUSAL_NAME_SIZE);
	snprintf(refusal.sender, sizeof(refusal.sender), "%s", row->sender);
	refusal.kind = row->kind;
	refusal.reason = row->reason;
	refusal.at = row->at;
	refusal.made_at = row->made_at;
	(void)refusal_list_add(&r->kept, &refusal, &dropped);
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
	struct refusal dropped;

	hex_encode(hash_bytes(item), hex);
	memcpy(refusal.name, hex, REFUSAL_NAME_SIZE);
	snprintf(refusal.sender, sizeof(refusal.sender), "%s", refused->sender);
	/* One item may be judged again, after a crash before its end: once is enough. */
	if (!refusal_list_add(&r->kept, &refusal, &dropped))
		return;
	r->since_start++;
	if (dropped.name[0] != '\0')
		mail_note_put(rt, MAIL_NOTE_REFUSED, dropped.name, BYTES_NONE);
	save(rt, &refusal);
	if (log_gate(&rt->alarm_gate, uv_now(&rt->loop)))
		log_line(LOG_ALARM, "mail of '%s' was refused: %s", refusal.sender,
			mail_refusal_name(refusal.reason));
}

static const char *kind_name(uint32_t kind)
{
	static const char *const names[] = {"unknown", "notice", "addresses", "complaint", "grant",
		"grant answer", "erasure order", "erasure receipt", "erasure hold", "escrow keys",
		"escrow held", "approval asked", "approval", "unknown", "recovery asked",
		"recovery answer"};

	return names[kind < sizeof(names) / sizeof(names[0]) ? kind : 0];
}

json_t *refused_json(const struct runtime *rt, size_t i)
{
	const struct mail_refusals *r = rt->mail->refusals;
	const struct refusal *refusal = r == NULL ? NULL : refusal_list_at(&r->kept, i);

	if (refusal == NULL)
		return NULL;
	return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "id", refusal->name, "from", refusal->sender,
		"kind", kind_name(refusal->kind), "reason", mail_refusal_name(refusal->reason),
		"at", (json_int_t)refusal->at, "made_at", (json_int_t)refusal->made_at);
}

json_t *refused_status_json(const struct runtime *rt)
{
	const struct mail_refusals *r = rt->mail->refusals;
	json_t *newest = refused_json(rt, 0);

	return json_pack("{s:I,s:I,s:o}", "count", (json_int_t)(r == NULL ? 0 : r->kept.count),
		"since_start", (json_int_t)(r == NULL ? 0 : r->since_start), "newest",
		newest == NULL ? json_null() : newest);
}
