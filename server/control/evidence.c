/* Evidence of forks that this node holds. */
#include "replication/log/evidence.h"
#include "base/text.h"
#include "proto/codec.h"
#include "server/control/internal.h"

static json_t *checkpoint_json(const struct checkpoint *checkpoint)
{
	return json_pack("{s:I,s:o}", "size", (json_int_t)checkpoint->size, "root",
		json_hash(&checkpoint->root));
}

static json_t *base64_json(struct bytes data)
{
	struct buf out;
	json_t *json;

	buf_init(&out, 2 * LIMIT_EVIDENCE_SIZE);
	base64_encode(&out, data);
	json = out.err == OK ? json_string(buf_cstr(&out)) : NULL;
	buf_release(&out);
	return json;
}

static json_t *vkey_json(const struct runtime *rt, size_t log)
{
	struct note_key key;
	struct buf out;
	json_t *json;

	if (!engine_log_key(rt->engine, log, &key))
		return json_null();
	buf_init(&out, LIMIT_NOTE_SIZE);
	note_key_format(&out, &key);
	json = out.err == OK ? json_string(buf_cstr(&out)) : NULL;
	buf_release(&out);
	return json;
}

static json_t *evidence_json(const struct runtime *rt, size_t log, const struct evidence *evidence,
	const struct hash *id, struct bytes message)
{
	char hex[2 * HASH_SIZE + 1];

	hex_encode(hash_bytes(id), hex);
	return json_pack("{s:s,s:s,s:b,s:o,s:o,s:o,s:o}", "id", hex, "origin",
		evidence->smaller.origin.text, "keys", evidence->other.size > 0, "vkey",
		vkey_json(rt, log), "smaller", checkpoint_json(&evidence->smaller), "larger",
		checkpoint_json(&evidence->larger), "message", base64_json(message));
}

static bool log_held(const struct runtime *rt, const char *origin)
{
	for (size_t i = 0; i < engine_log_count(rt->engine); i++)
		if (strcmp(engine_log_origin(rt->engine, i)->text, origin) == 0)
			return true;
	return false;
}

void begin_log_evidence(struct control_request *request, const Sauti__LogEvidenceRequest *message)
{
	const struct runtime *rt = control_runtime(request);
	struct arena arena;

	if (message->origin[0] != '\0' && !log_held(rt, message->origin)) {
		control_fail(request, ERR_NOTFOUND, 0, "no log of that origin is held here");
		return;
	}
	arena_init(&arena, LIMIT_ARENA_SIZE);
	for (size_t i = 0; i < engine_evidence_count(rt->engine); i++) {
		struct evidence evidence;
		struct hash id;
		size_t log;
		struct bytes data = engine_evidence_at(rt->engine, i, &id, &log);

		arena_clear(&arena);
		if (evidence_parse(data, &arena, &evidence, NULL) == OK &&
			(message->origin[0] == '\0' ||
				strcmp(message->origin, evidence.smaller.origin.text) == 0))
			answer_json(request, evidence_json(rt, log, &evidence, &id, data), false);
	}
	arena_release(&arena);
	control_end(request, BYTES_NONE);
}
