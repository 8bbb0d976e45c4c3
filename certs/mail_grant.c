#include "certs/mail_grant.h"

#include "base/alloc.h"
#include "proto/codec.h"
#include "proto/mail.pb-c.h"

void mail_grant_release(struct mail_grant *grant)
{
	if (grant == NULL)
		return;
	for (size_t i = 0; i < grant->key_count; i++)
		secret_release(&grant->keys[i].key);
	mem_free(grant->keys);
	*grant = (struct mail_grant){.keys = NULL};
}

enum err mail_grant_init(struct mail_grant *grant, size_t keys)
{
	*grant = (struct mail_grant){.keys = NULL};
	if (keys > LIMIT_GRANT_KEYS)
		return ERR_LIMIT;
	grant->keys = mem_array(keys, sizeof(*grant->keys));
	if (grant->keys == NULL)
		return ERR_NOMEM;
	grant->key_count = keys;
	return OK;
}

/* ---- writing ---- */

static bool in_order(const uint8_t *before, const uint8_t *kid)
{
	return before == NULL || memcmp(before, kid, MAIL_KID_SIZE) < 0;
}

static enum err keys_put(
	const struct mail_grant *grant, Sauti__MailGrantKey *keys, Sauti__MailGrantKey **list)
{
	for (size_t i = 0; i < grant->key_count; i++) {
		const struct mail_grant_key *from = &grant->keys[i];

		if (from->key.size != MAIL_KEY_SIZE ||
			!in_order(i == 0 ? NULL : grant->keys[i - 1].kid, from->kid))
			return ERR_INVALID;
		sauti__mail_grant_key__init(&keys[i]);
		keys[i].group = from->group;
		keys[i].kid = codec_binary(BYTES_ARRAY(from->kid));
		keys[i].key = codec_binary(secret_bytes(&from->key));
		keys[i].generation = from->generation;
		keys[i].origin = (char *)from->origin;
		keys[i].first = from->first;
		list[i] = &keys[i];
	}
	return OK;
}

enum err mail_grant_write(struct buf *out, const struct mail_grant *grant)
{
	Sauti__MailGrant message = SAUTI__MAIL_GRANT__INIT;
	Sauti__MailGrantKey keys[LIMIT_GRANT_KEYS], *list[LIMIT_GRANT_KEYS];

	if (grant->key_count == 0 || grant->key_count > LIMIT_GRANT_KEYS)
		return ERR_INVALID;
	TRY(keys_put(grant, keys, list));
	message.grant_id = codec_binary(BYTES_ARRAY(grant->grant_id));
	message.case_ref = codec_binary(BYTES_ARRAY(grant->case_ref));
	message.case_code = (char *)grant->case_code;
	message.opened_on = (char *)grant->opened_on;
	message.purpose = (char *)grant->purpose;
	message.basis = grant->basis;
	message.until = (char *)grant->until;
	message.nonce = codec_binary(BYTES_ARRAY(grant->nonce));
	message.consent_leaf = codec_binary(hash_bytes(&grant->consent_leaf));
	message.consent_origin = (char *)grant->consent_origin;
	message.consent_index = grant->consent_index;
	message.keys = list;
	message.n_keys = grant->key_count;
	codec_pack(out, &message);
	return out->err;
}

/* ---- reading ---- */

static bool form_ok(const Sauti__MailGrant *m)
{
	return m->grant_id.len == MAIL_GRANT_ID_SIZE && m->case_ref.len == MAIL_CASE_REF_SIZE &&
	       m->nonce.len == MAIL_GRANT_NONCE_SIZE && m->consent_leaf.len == HASH_SIZE &&
	       strlen(m->case_code) <= MAIL_GRANT_CODE_MAX &&
	       strlen(m->opened_on) <= MAIL_GRANT_DAY_MAX &&
	       strlen(m->until) <= MAIL_GRANT_DAY_MAX &&
	       strlen(m->purpose) <= MAIL_GRANT_PURPOSE_MAX &&
	       strlen(m->consent_origin) <= LIMIT_ORIGIN && m->n_keys > 0 &&
	       m->n_keys <= LIMIT_GRANT_KEYS;
}

static enum err key_read(
	const Sauti__MailGrantKey *from, const uint8_t *before, struct mail_grant_key *key)
{
	if (from->kid.len != MAIL_KID_SIZE || from->key.len != MAIL_KEY_SIZE ||
		strlen(from->origin) > LIMIT_ORIGIN || !in_order(before, from->kid.data))
		return ERR_MALFORMED;
	key->group = from->group;
	key->generation = from->generation;
	key->first = from->first;
	memcpy(key->kid, from->kid.data, MAIL_KID_SIZE);
	memcpy(key->origin, from->origin, strlen(from->origin) + 1);
	return secret_copy(&key->key, codec_bytes(from->key));
}

static enum err copy(const Sauti__MailGrant *m, struct mail_grant *grant)
{
	if (!form_ok(m))
		return ERR_MALFORMED;
	TRY(mail_grant_init(grant, m->n_keys));
	for (size_t i = 0; i < m->n_keys; i++)
		TRY(key_read(m->keys[i], i == 0 ? NULL : grant->keys[i - 1].kid, &grant->keys[i]));
	memcpy(grant->grant_id, m->grant_id.data, MAIL_GRANT_ID_SIZE);
	memcpy(grant->case_ref, m->case_ref.data, MAIL_CASE_REF_SIZE);
	memcpy(grant->nonce, m->nonce.data, MAIL_GRANT_NONCE_SIZE);
	memcpy(grant->consent_leaf.b, m->consent_leaf.data, HASH_SIZE);
	memcpy(grant->case_code, m->case_code, strlen(m->case_code) + 1);
	memcpy(grant->opened_on, m->opened_on, strlen(m->opened_on) + 1);
	memcpy(grant->purpose, m->purpose, strlen(m->purpose) + 1);
	memcpy(grant->until, m->until, strlen(m->until) + 1);
	memcpy(grant->consent_origin, m->consent_origin, strlen(m->consent_origin) + 1);
	grant->consent_index = m->consent_index;
	grant->basis = m->basis;
	return OK;
}

enum err mail_grant_read(
	struct bytes body, struct arena *arena, struct mail_grant *ret, struct errctx *ctx)
{
	struct mail_grant grant = {.keys = NULL};
	Sauti__MailGrant *message;
	enum err err;

	TRY(CODEC_UNPACK(mail_grant, body, &scan_limits_default, arena, &message, ctx));
	err = copy(message, &grant);
	for (size_t i = 0; i < message->n_keys; i++)
		wipe(message->keys[i]->key.data, message->keys[i]->key.len);
	if (err != OK) {
		mail_grant_release(&grant);
		return err == ERR_MALFORMED ? err_set(ctx, err, "a grant: its form") : err;
	}
	*ret = grant;
	return OK;
}
