#include "server/keys/silence.h"

#include "server/mail.h"

static const struct member *member_of(const struct runtime *rt, const char *node)
{
	return directory_find(engine_directory(rt->engine), bytes_str(node));
}

enum { LOOK_MS = 10 * 1000 };

/* Records and cosignatures of headquarters: all of them are looked at. */
static uint64_t newest_signed(const struct runtime *rt)
{
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *member;
	uint64_t newest = 0;

	for (size_t i = 0; (member = directory_at(directory, i)) != NULL; i++) {
		uint64_t its =
			member->role == ROLE_HQ ? engine_signed_by(rt->engine, member->name) : 0;

		if (member->made_at > its)
			its = member->made_at;
		if (its > newest)
			newest = its;
	}
	return newest;
}

uint64_t silence_since(const struct runtime *rt)
{
	uint64_t now_ms = uv_now(&rt->loop);
	struct mail *mail = rt->mail;

	if (mail->hq_looked_ms == 0 || now_ms - mail->hq_looked_ms >= LOOK_MS) {
		mail->hq_looked_ms = now_ms;
		mail->hq_signed_s = newest_signed(rt);
	}
	return mail->hq_signed_s;
}

bool silence_is(const struct runtime *rt)
{
	const struct member *self = member_of(rt, rt->node);
	uint64_t since = silence_since(rt), wall_s = runtime_wall_s(), now = prekeys_now(rt);

	if (self != NULL && self->role == ROLE_HQ)
		return false;
	return (now > since && now - since > SILENCE_S) || since > wall_s + PREKEY_DAY_S;
}

static bool is_released(const struct runtime *rt, const char *node)
{
	const struct member *member = member_of(rt, node);
	struct hash signer;

	if (member == NULL)
		return false;
	sha256(BYTES_ARRAY(member->node.b), &signer);
	return released_has(&rt->released, node, &signer, uv_now(&rt->loop));
}

const char *silence_holds(const struct runtime *rt, const char *node)
{
	if (!silence_is(rt) || is_released(rt, node))
		return "";
	return "headquarters has signed nothing that is younger than 30 days here, or this node's "
	       "clock is behind it: a revocation may be missing. See 'sauti mail release'";
}

enum err silence_release(struct runtime *rt, const char *node, const struct hash *signer)
{
	uint64_t now_ms = uv_now(&rt->loop);

	return released_add(
		&rt->released, node, signer, now_ms, now_ms + UINT64_C(1000) * SILENCE_RELEASE_S);
}

void silence_locked(struct runtime *rt)
{
	rt->released.count = 0;
}

json_t *silence_json(const struct runtime *rt)
{
	json_t *released = json_array();

	for (size_t i = 0; i < rt->released.count; i++)
		if (is_released(rt, rt->released.list[i].node))
			json_array_append_new(released, json_string(rt->released.list[i].node));
	return json_pack("{s:b,s:I,s:o}", "silent", silence_is(rt), "since",
		(json_int_t)silence_since(rt), "released", released);
}
