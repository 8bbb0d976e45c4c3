#include "certs/mail_escrow.h"

#include "base/alloc.h"
#include "proto/mail.pb-c.h"

enum { VERSION_KEY_SIZE = 32 };

/* ---- lists ---- */

void version_keys_release(struct version_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < keys->count; i++)
		secret_release(&keys->list[i].key);
	mem_free(keys->list);
	*keys = (struct version_keys){.count = 0};
}

enum err version_keys_init(struct version_keys *keys, size_t count)
{
	if (count > LIMIT_ESCROW_MAIL_KEYS)
		return ERR_LIMIT;
	keys->count = 0;
	keys->list = mem_array(count + 1, sizeof(*keys->list));
	return keys->list == NULL ? ERR_NOMEM : OK;
}

void version_ids_release(struct version_ids *ids)
{
	if (ids == NULL)
		return;
	mem_free(ids->list);
	*ids = (struct version_ids){.count = 0};
}

enum err version_ids_add(struct version_ids *ids, const uint8_t id[ESCROW_VERSION_KEY_ID])
{
	void *grown;

	if (ids->count >= LIMIT_ESCROW_MAIL_KEYS)
		return ERR_LIMIT;
	if (ids->count % 64 == 0) {
		grown = mem_resize(ids->list, (ids->count + 64) * sizeof(*ids->list));
		if (grown == NULL)
			return ERR_NOMEM;
		ids->list = grown;
	}
	memcpy(ids->list[ids->count++], id, ESCROW_VERSION_KEY_ID);
	return OK;
}

static ProtobufCBinaryData *ids_binary(const struct version_ids *ids)
{
	ProtobufCBinaryData *list = mem_array(ids->count + 1, sizeof(*list));

	for (size_t i = 0; list != NULL && i < ids->count; i++)
		list[i] = codec_binary(BYTES_ARRAY(ids->list[i]));
	return list;
}

static enum err ids_read(const ProtobufCBinaryData *list, size_t count, struct version_ids *ret)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i].len != ESCROW_VERSION_KEY_ID)
			return ERR_MALFORMED;
		TRY(version_ids_add(ret, list[i].data));
	}
	return OK;
}

/* The messages, and the list of them, behind one another. */
static enum err keys_make(const struct version_keys *keys, Sauti__VersionKey **ret_keys,
	Sauti__VersionKey ***ret_list)
{
	Sauti__VersionKey *made = mem_array(keys->count + 1, sizeof(*made));
	Sauti__VersionKey **list = mem_array(keys->count + 1, sizeof(*list));

	*ret_keys = made;
	*ret_list = list;
	if (made == NULL || list == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < keys->count; i++) {
		if (keys->list[i].key.size != VERSION_KEY_SIZE)
			return ERR_INVALID;
		sauti__version_key__init(&made[i]);
		made[i].id = codec_binary(BYTES_ARRAY(keys->list[i].id));
		made[i].key = codec_binary(secret_bytes(&keys->list[i].key));
		list[i] = &made[i];
	}
	return OK;
}

static enum err keys_read(Sauti__VersionKey **list, size_t count, struct version_keys *ret)
{
	enum err err =
		count > LIMIT_ESCROW_MAIL_KEYS ? ERR_MALFORMED : version_keys_init(ret, count);

	for (size_t i = 0; i < count; i++) {
		struct version_key *key = &ret->list[ret->count];

		if (err == OK && (list[i]->id.len != ESCROW_VERSION_KEY_ID ||
					 list[i]->key.len != VERSION_KEY_SIZE))
			err = ERR_MALFORMED;
		if (err == OK) {
			memcpy(key->id, list[i]->id.data, ESCROW_VERSION_KEY_ID);
			err = secret_copy(&key->key, codec_bytes(list[i]->key));
		}
		if (err == OK)
			ret->count++;
		wipe(list[i]->key.data, list[i]->key.len);
	}
	return err;
}

static enum err malformed(enum err err, const char *what, struct errctx *ctx)
{
	if (err == ERR_MALFORMED || err == ERR_LIMIT)
		return err_set(ctx, ERR_MALFORMED, "%s: form", what);
	return err;
}

/* ---- ESCROW_KEYS ---- */

enum err mail_escrow_keys_write(struct buf *out, const struct version_keys *keys)
{
	Sauti__MailEscrowKeys message = SAUTI__MAIL_ESCROW_KEYS__INIT;
	Sauti__VersionKey *made;
	enum err err;

	if (keys->count == 0)
		return ERR_INVALID;
	err = keys_make(keys, &made, &message.keys);
	message.n_keys = keys->count;
	if (err == OK) {
		codec_pack(out, &message);
		err = out->err;
	}
	mem_free(made);
	mem_free(message.keys);
	return err;
}

enum err mail_escrow_keys_read(
	struct bytes body, struct arena *arena, struct version_keys *ret, struct errctx *ctx)
{
	struct version_keys keys = {.count = 0};
	Sauti__MailEscrowKeys *message;
	enum err err;

	TRY(CODEC_UNPACK(mail_escrow_keys, body, &scan_limits_default, arena, &message, ctx));
	err = keys_read(message->keys, message->n_keys, &keys);
	if (err == OK && keys.count == 0)
		err = ERR_MALFORMED;
	if (err != OK)
		version_keys_release(&keys);
	else
		*ret = keys;
	return malformed(err, "version keys", ctx);
}

/* ---- ESCROW_HELD ---- */

void mail_escrow_held_release(struct mail_escrow_held *held)
{
	version_ids_release(&held->held);
	version_ids_release(&held->refused);
}

enum err mail_escrow_held_write(struct buf *out, const struct mail_escrow_held *held)
{
	Sauti__MailEscrowHeld message = SAUTI__MAIL_ESCROW_HELD__INIT;
	enum err err = ERR_NOMEM;

	message.held = ids_binary(&held->held);
	message.n_held = held->held.count;
	message.refused = ids_binary(&held->refused);
	message.n_refused = held->refused.count;
	if (message.held != NULL && message.refused != NULL) {
		codec_pack(out, &message);
		err = out->err;
	}
	mem_free(message.held);
	mem_free(message.refused);
	return err;
}

enum err mail_escrow_held_read(
	struct bytes body, struct arena *arena, struct mail_escrow_held *ret, struct errctx *ctx)
{
	struct mail_escrow_held held = {.held = {.count = 0}};
	Sauti__MailEscrowHeld *message;
	enum err err;

	TRY(CODEC_UNPACK(mail_escrow_held, body, &scan_limits_default, arena, &message, ctx));
	err = ids_read(message->held, message->n_held, &held.held);
	if (err == OK)
		err = ids_read(message->refused, message->n_refused, &held.refused);
	if (err != OK)
		mail_escrow_held_release(&held);
	else
		*ret = held;
	return malformed(err, "an answer of a custodian", ctx);
}

/* ---- RECOVERY_ASK ---- */

void mail_recovery_ask_release(struct mail_recovery_ask *ask)
{
	version_ids_release(&ask->ids);
}

enum err mail_recovery_ask_write(struct buf *out, const struct mail_recovery_ask *ask)
{
	Sauti__MailRecoveryAsk message = SAUTI__MAIL_RECOVERY_ASK__INIT;

	if (ask->ids.count == 0 || ask->prekey.number == 0)
		return ERR_INVALID;
	message.ids = ids_binary(&ask->ids);
	if (message.ids == NULL)
		return ERR_NOMEM;
	message.n_ids = ask->ids.count;
	message.prekey_number = ask->prekey.number;
	message.prekey = codec_binary(BYTES_ARRAY(ask->prekey.key.b));
	message.drill = ask->drill;
	codec_pack(out, &message);
	mem_free(message.ids);
	return out->err;
}

enum err mail_recovery_ask_read(
	struct bytes body, struct arena *arena, struct mail_recovery_ask *ret, struct errctx *ctx)
{
	struct mail_recovery_ask ask = {.drill = false};
	Sauti__MailRecoveryAsk *message;
	enum err err = OK;

	TRY(CODEC_UNPACK(mail_recovery_ask, body, &scan_limits_default, arena, &message, ctx));
	if (message->n_ids == 0 || message->prekey_number == 0 ||
		message->prekey.len != X25519_KEY_SIZE)
		err = ERR_MALFORMED;
	if (err == OK)
		err = ids_read(message->ids, message->n_ids, &ask.ids);
	if (err != OK) {
		mail_recovery_ask_release(&ask);
		return malformed(err, "a wish for version keys", ctx);
	}
	ask.prekey.number = message->prekey_number;
	memcpy(ask.prekey.key.b, message->prekey.data, X25519_KEY_SIZE);
	ask.drill = message->drill;
	*ret = ask;
	return OK;
}

/* ---- RECOVERY_ANSWER ---- */

void mail_recovery_answer_release(struct mail_recovery_answer *answer)
{
	version_keys_release(&answer->keys);
	version_ids_release(&answer->missing);
}

enum err mail_recovery_answer_write(struct buf *out, const struct mail_recovery_answer *answer)
{
	Sauti__MailRecoveryAnswer message = SAUTI__MAIL_RECOVERY_ANSWER__INIT;
	Sauti__VersionKey *made;
	enum err err = keys_make(&answer->keys, &made, &message.keys);

	message.n_keys = answer->keys.count;
	message.missing = ids_binary(&answer->missing);
	message.n_missing = answer->missing.count;
	message.drill = answer->drill;
	if (message.missing == NULL)
		err = ERR_NOMEM;
	if (err == OK) {
		codec_pack(out, &message);
		err = out->err;
	}
	mem_free(made);
	mem_free(message.keys);
	mem_free(message.missing);
	return err;
}

enum err mail_recovery_answer_read(struct bytes body, struct arena *arena,
	struct mail_recovery_answer *ret, struct errctx *ctx)
{
	struct mail_recovery_answer answer = {.drill = false};
	Sauti__MailRecoveryAnswer *message;
	enum err err;

	TRY(CODEC_UNPACK(mail_recovery_answer, body, &scan_limits_default, arena, &message, ctx));
	answer.drill = message->drill;
	err = keys_read(message->keys, message->n_keys, &answer.keys);
	if (err == OK)
		err = ids_read(message->missing, message->n_missing, &answer.missing);
	if (err != OK)
		mail_recovery_answer_release(&answer);
	else
		*ret = answer;
	return malformed(err, "an answer with version keys", ctx);
}
