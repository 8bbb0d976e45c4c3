#include "server/keys/erasing.h"

#include <jansson.h>
#include <stdio.h>

#include "base/alloc.h"
#include "cases/keys/verdict.h"
#include "certs/mail_erase.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/keys/refused.h"
#include "server/ledger.h"
#include "server/mail.h"

/* Who waits for the answer to an unlock. */
struct gated {
	struct gated *next;
	append_done done;
	void *arg;
	enum err error;
	uint64_t index;
};

/* A client who waits to be told how far it is. */
struct asker {
	struct asker *next;
	struct control_request *request;
	char name[LIMIT_NODE_NAME + 100];
};

struct erasing {
	bool busy;                  /* something of NEXT is under way */
	bool again;                 /* .. and meanwhile something has happened */
	struct vault_request *next; /* what is being done; owned */
	struct sealed_batch batch;  /* of entries on their way */
	json_t *lines;              /* of the ledger, that are not there yet */
	struct hash *held;          /* items that an unlock waits for */
	size_t held_count;
	struct gated *gated;
	struct asker *askers;
	struct log_gate failed_gate;
	bool counted;           /* what follows is known */
	size_t open, held_back; /* erasing_json */
};

void erasing_boot(struct runtime *rt)
{
	rt->erasing = mem_zalloc(sizeof(*rt->erasing));
	if (rt->erasing == NULL)
		runtime_out_of_memory();
}

static void gate_open(struct runtime *rt, enum err error)
{
	struct gated *gated = rt->erasing->gated;

	rt->erasing->gated = NULL;
	mem_free(rt->erasing->held);
	rt->erasing->held = NULL;
	rt->erasing->held_count = 0;
	while (gated != NULL) {
		struct gated *after = gated->next;

		gated->done(gated->arg, error == OK ? gated->error : error, gated->index);
		mem_free(gated);
		gated = after;
	}
}

static void askers_fail(struct runtime *rt, enum err error, const char *why)
{
	while (rt->erasing->askers != NULL) {
		struct asker *asker = rt->erasing->askers;

		rt->erasing->askers = asker->next;
		control_fail(asker->request, error, 0, why);
		mem_free(asker);
	}
}

void erasing_stop(struct runtime *rt)
{
	if (rt->erasing == NULL)
		return;
	gate_open(rt, ERR_CANCELED);
	askers_fail(rt, ERR_CANCELED, "the node stops");
}

void erasing_free(struct runtime *rt)
{
	if (rt->erasing == NULL)
		return;
	vault_request_free(rt->erasing->next);
	json_decref(rt->erasing->lines);
	mem_free(rt->erasing);
	rt->erasing = NULL;
}

void erasing_locked(struct runtime *rt)
{
	gate_open(rt, ERR_LOCKED);
	askers_fail(
		rt, ERR_LOCKED, "the node was locked meanwhile; it goes on with the next unlock");
}

/* ---- asking the vault ---- */

static struct vault_request *ask_new(enum vault_type type)
{
	struct vault_request *ask = vault_request_new(type, NULL);

	if (ask == NULL || (ask->erase = mem_zalloc(sizeof(*ask->erase))) == NULL)
		runtime_out_of_memory();
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	return ask;
}

void erasing_wake(struct runtime *rt)
{
	struct erasing *e = rt->erasing;

	/* Received notices that are still under the keyring key would go with it. */
	if (e == NULL || rt->stopping || rt->keys == NULL || !mail_inbox_moved(rt))
		return;
	e->again = true;
	if (e->busy)
		return;
	e->busy = true;
	e->again = false;
	vault_submit(rt->vault, ask_new(VAULT_ERASE_NEXT));
}

static void askers_tell(struct runtime *rt)
{
	while (rt->erasing->askers != NULL) {
		struct asker *asker = rt->erasing->askers;
		struct vault_request *ask = vault_ask(asker->request, VAULT_ERASE_SHOW);

		rt->erasing->askers = asker->next;
		if (ask != NULL) {
			snprintf(ask->name, sizeof(ask->name), "%s", asker->name);
			vault_submit(rt->vault, ask);
		}
		mem_free(asker);
	}
}

void erasing_tell_when_done(struct runtime *rt, struct control_request *request, const char *name)
{
	struct asker *asker = mem_zalloc(sizeof(*asker));

	if (asker == NULL)
		runtime_out_of_memory();
	asker->request = request;
	snprintf(asker->name, sizeof(asker->name), "%s", name);
	asker->next = rt->erasing->askers;
	rt->erasing->askers = asker;
	erasing_wake(rt);
}

/* Not now: the next minute tries again. */
static void stand(struct runtime *rt, enum err error, const char *why)
{
	struct erasing *e = rt->erasing;

	vault_request_free(e->next);
	e->next = NULL;
	json_decref(e->lines);
	e->lines = NULL;
	e->busy = e->again = false;
	if (error == ERR_LOCKED || error == ERR_CANCELED) {
		askers_fail(rt, error,
			"the node was locked meanwhile; it goes on with the next "
			"unlock");
		return;
	}
	if (log_gate(&e->failed_gate, uv_now(&rt->loop)))
		log_line(LOG_ALARM, "an erasure waits: %s", why);
	askers_fail(rt, error, why);
}

/* ---- doing it ---- */

static void tell_did(struct runtime *rt)
{
	struct vault_request *ask = ask_new(VAULT_ERASE_DID);

	*ask->erase = *rt->erasing->next->erase;
	vault_request_free(rt->erasing->next);
	rt->erasing->next = NULL;
	vault_submit(rt->vault, ask);
}

static void line_write(struct runtime *rt);

static void on_line(void *arg, enum err error, const char *why, const struct ledger_place *place)
{
	struct runtime *rt = arg;

	if (rt->stopping || rt->erasing->next == NULL)
		return;
	if (error != OK) {
		stand(rt, error, why);
		return;
	}
	json_array_remove(rt->erasing->lines, 0);
	line_write(rt);
}

static void line_write(struct runtime *rt)
{
	struct erasing *e = rt->erasing;

	if (json_array_size(e->lines) > 0) {
		ledger_write(rt, "", json_incref(json_array_get(e->lines, 0)), on_line, rt);
		return;
	}
	json_decref(e->lines);
	e->lines = NULL;
	tell_did(rt);
}

static void ledger_begin(struct runtime *rt)
{
	struct erasing *e = rt->erasing;
	struct bytes rest = buf_bytes(&e->next->mail);

	e->lines = json_array();
	while (rest.size > 0) {
		const uint8_t *end = memchr(rest.data, '\n', rest.size);
		size_t size = end == NULL ? rest.size : (size_t)(end - rest.data);
		size_t taken = end == NULL ? size : size + 1;

		json_array_append_new(e->lines, json_loadb((const char *)rest.data, size, 0, NULL));
		rest = bytes_make(rest.data + taken, rest.size - taken);
	}
	line_write(rt);
}

static void on_mailed(void *arg, enum err error)
{
	struct runtime *rt = arg;

	if (rt->stopping || rt->erasing->next == NULL)
		return;
	if (error == OK)
		tell_did(rt);
	else
		stand(rt, error, err_text(error));
}

/* ---- entries ---- */

static void reseal_ask(struct runtime *rt)
{
	struct vault_request *ask = ask_new(VAULT_ERASE_RESEAL);

	memcpy(ask->erase->order_id, rt->erasing->next->erase->order_id,
		sizeof(ask->erase->order_id));
	vault_submit(rt->vault, ask);
}

/* Into the log; then the next, until none is left: the vault knows what stands there. */
static void on_resealed(void *arg, enum err error, uint64_t index)
{
	struct runtime *rt = arg;

	runtime_tell_vault(rt, rt->erasing->batch, error, index);
	if (rt->stopping || rt->erasing->next == NULL)
		return;
	if (error != OK)
		stand(rt, error, err_text(error));
	else
		reseal_ask(rt);
}

static void on_noted(void *arg, enum err error, uint64_t index)
{
	struct runtime *rt = arg;

	runtime_tell_vault(rt, rt->erasing->batch, error, index);
	if (rt->stopping || rt->erasing->next == NULL)
		return;
	if (error != OK)
		stand(rt, error, err_text(error));
	else
		tell_did(rt);
}

static void append(struct runtime *rt, struct vault_request *done, append_done then)
{
	struct entries *entries = done->entries;

	rt->erasing->batch = (struct sealed_batch){done->batch, done->wave};
	done->entries = NULL;
	if (runtime_may_append(rt, rt->erasing->batch))
		runtime_append(rt, done->log_origin, entries, then, rt);
	else {
		entries_unref(entries);
		then(rt, rt->failed_wave_error, 0);
	}
}

/* By a rule: it will be refused tomorrow, too. */
static bool is_refusal(enum err err)
{
	return err == ERR_INVALID || err == ERR_CONSENT || err == ERR_NOTFOUND ||
	       err == ERR_DENIED || err == ERR_LIMIT;
}

/* A RESEAL, or the case's own events, are sealed. */
static void sealed_done(struct runtime *rt, struct vault_request *done)
{
	bool note = done->type == VAULT_SEAL;

	if (done->trouble != TROUBLE_NONE)
		runtime_disk_failed(rt, err_message(&done->ctx, done->result));
	if (note && is_refusal(done->result)) {
		log_line(LOG_WARNING, "a case does not say that a part of it was erased: %s",
			err_message(&done->ctx, done->result));
		tell_did(rt);
	} else if (done->result != OK)
		stand(rt, done->result, err_message(&done->ctx, done->result));
	else if (done->entries != NULL)
		append(rt, done, note ? on_noted : on_resealed);
	else if (note)
		tell_did(rt);
	else { /* all of it stands under the new keys */
		vault_request_free(rt->erasing->next);
		rt->erasing->next = NULL;
		vault_submit(rt->vault, ask_new(VAULT_ERASE_NEXT));
	}
	vault_request_free(done);
}

static void note_begin(struct runtime *rt)
{
	const struct vault_request *next = rt->erasing->next;
	struct vault_request *ask = ask_new(VAULT_SEAL);

	buf_put(&ask->lines, buf_bytes(&next->mail));
	snprintf(ask->officer, sizeof(ask->officer), "%s",
		next->erase->second[0] == '\0' ? rt->node : next->erase->second);
	ask->roles = ACCOUNT_SUPERVISOR;
	vault_submit(rt->vault, ask);
}

static enum mail_kind kind_of(uint32_t todo)
{
	return todo == ERASE_TODO_ORDER     ? MAIL_ERASE_ORDER
	       : todo == ERASE_TODO_RECEIPT ? MAIL_ERASE_RECEIPT
					    : MAIL_ERASE_HOLD;
}

static void mail_begin(struct runtime *rt)
{
	const struct vault_request *next = rt->erasing->next;
	const struct member *to =
		directory_find(engine_directory(rt->engine), bytes_str(next->erase->to));
	struct mail_draft draft = {
		.network = rt->genesis.network,
		.sender = rt->node,
		.recipient = next->erase->to,
		.class = MAIL_ERASURE,
		.kind = kind_of(next->erase->todo),
		.content = buf_bytes(&next->mail),
		.made_at = runtime_wall_s(),
	};
	struct buf packed;
	enum err err;

	if (to == NULL || !to->active) { /* nobody carries mail to it: it is asked again tomorrow */
		tell_did(rt);
		return;
	}
	buf_init(&packed, LIMIT_MAIL_ITEM);
	err = rt->keys == NULL ? ERR_LOCKED : random_bytes(draft.id, sizeof(draft.id));
	if (err == OK)
		err = mail_write(&packed, &draft, rt->keys->node);
	if (err == OK)
		mail_send(rt, buf_bytes(&packed), on_mailed, rt);
	else
		stand(rt, err, err_text(err));
	buf_release(&packed);
}

json_t *erasing_json(const struct runtime *rt)
{
	const struct erasing *e = rt->erasing;

	if (!e->counted)
		return json_null();
	return json_pack(
		"{s:I,s:I}", "open", (json_int_t)e->open, "held", (json_int_t)e->held_back);
}

static void next_done(struct runtime *rt, struct vault_request *done)
{
	struct erasing *e = rt->erasing;

	if (done->result == OK) {
		e->counted = true;
		e->open = done->erase->open;
		e->held_back = done->erase->held;
	}

	if (done->result != OK) {
		enum err error = done->result;
		struct errctx ctx = done->ctx;

		vault_request_free(done);
		stand(rt, error, err_message(&ctx, error));
		return;
	}
	if (done->erase->todo == ERASE_TODO_NOTHING) {
		vault_request_free(done);
		e->busy = false;
		if (e->again)
			erasing_wake(rt);
		else
			askers_tell(rt);
		return;
	}
	e->next = done;
	if (done->erase->todo == ERASE_TODO_ORDERED || done->erase->todo == ERASE_TODO_OBEYED ||
		done->erase->todo == ERASE_TODO_COMPLETE)
		ledger_begin(rt);
	else if (done->erase->todo == ERASE_TODO_RESEAL)
		reseal_ask(rt);
	else if (done->erase->todo == ERASE_TODO_NOTE)
		note_begin(rt);
	else
		mail_begin(rt);
}

static void did_done(struct runtime *rt, struct vault_request *done)
{
	enum err error = done->result;
	struct errctx ctx = done->ctx;

	vault_request_free(done);
	if (error != OK)
		stand(rt, error, err_message(&ctx, error));
	else
		vault_submit(rt->vault, ask_new(VAULT_ERASE_NEXT));
}

/* ---- what others send ---- */

void erasing_take(
	struct runtime *rt, const struct mail_item *item, uint32_t kind, struct bytes body)
{
	struct vault_request *ask;
	struct ed25519_public signer;

	if (rt->keys == NULL || !mail_inbox_moved(rt)) {
		mail_put_off(rt, &item->item, ERR_LOCKED);
		return;
	}
	/* Not who has the name by now: it may have waited here while that changed. */
	if (mail_signer(engine_directory(rt->engine), item, &signer) != OK) {
		mail_refuse(rt, &item->item,
			&(struct mail_refused){item->sender, kind, REFUSED_SIGNER, item->made_at});
		mail_finish(rt, &item->item, MAIL_REFUSED);
		return;
	}
	ask = ask_new(VAULT_ERASE_TAKE);
	ask->item = item->item;
	snprintf(ask->erase->sender, sizeof(ask->erase->sender), "%s", item->sender);
	sha256(BYTES_ARRAY(signer.b), &ask->erase->sender_key);
	ask->erase->kind = kind;
	buf_put(&ask->mail, body);
	vault_submit(rt->vault, ask);
}

static enum mail_refusal refusal_of(uint32_t verdict)
{
	switch (verdict) {
	case ORDER_NOT_KEY:
		return REFUSED_SIGNER;
	case ORDER_NOT_AUTHOR:
		return REFUSED_KEYS;
	case ORDER_UNKNOWN:
	case ORDER_NOT_ASKED:
		return REFUSED_SENDER;
	default:
		return REFUSED_FORM;
	}
}

static void refused(struct runtime *rt, const struct vault_request *done)
{
	const struct vault_erase *erase = done->erase;
	struct engine_mail about;

	if (log_gate(&rt->alarm_gate, uv_now(&rt->loop)))
		log_line(LOG_ALARM, "%s of '%s' refused: %s",
			erase->kind == MAIL_ERASE_ORDER ? "an order to destroy keys"
							: "an answer about an erasure",
			erase->sender, order_verdict_text(erase->verdict));
	if (engine_mail_find(rt->engine, &done->item, &about))
		mail_refuse(rt, &done->item,
			&(struct mail_refused){erase->sender, erase->kind,
				refusal_of(erase->verdict), about.made_at});
}

static void take_done(struct runtime *rt, struct vault_request *done)
{
	const struct vault_erase *erase = done->erase;

	if (done->result != OK) {
		if (done->result != ERR_LOCKED && log_gate(&rt->alarm_gate, uv_now(&rt->loop)))
			log_line(LOG_ALARM, "an erasure ordered by '%s' waits: %s", erase->sender,
				err_message(&done->ctx, done->result));
		mail_put_off(rt, &done->item, done->result);
	} else {
		if (erase->verdict != ORDER_GOOD)
			refused(rt, done);
		mail_finish(rt, &done->item,
			erase->verdict == ORDER_GOOD ? MAIL_PROCESSED : MAIL_REFUSED);
		erasing_wake(rt);
	}
	vault_request_free(done);
}

/* ---- the gate ---- */

static bool is_waited_for(const struct runtime *rt, const struct engine_mail *mail)
{
	const struct member *sender =
		directory_find(engine_directory(rt->engine), bytes_str(mail->sender));

	return mail->held && mail->open && mail->class == MAIL_ERASURE &&
	       strcmp(mail->recipient, rt->node) == 0 && sender != NULL && sender->active;
}

void erasing_gate_begin(struct runtime *rt)
{
	struct erasing *e = rt->erasing;
	size_t count = engine_mail_count(rt->engine);

	mem_free(e->held);
	e->held_count = 0;
	e->held = mem_array(count + 1, sizeof(*e->held));
	if (e->held == NULL)
		runtime_out_of_memory();
	for (size_t i = 0; i < count; i++) {
		struct engine_mail mail;

		engine_mail_at(rt->engine, i, &mail);
		if (is_waited_for(rt, &mail))
			e->held[e->held_count++] = mail.item;
	}
	if (e->held_count > 0)
		log_line(LOG_INFO, "%zu orders and receipts of erasures come first", e->held_count);
}

void erasing_gate(struct runtime *rt, enum err error, uint64_t index, append_done done, void *arg)
{
	struct gated *gated;

	if (rt->erasing->held_count == 0) {
		done(arg, error, index);
		return;
	}
	gated = mem_zalloc(sizeof(*gated));
	if (gated == NULL)
		runtime_out_of_memory();
	*gated = (struct gated){rt->erasing->gated, done, arg, error, index};
	rt->erasing->gated = gated;
}

void erasing_item_done(struct runtime *rt, const struct hash *item)
{
	struct erasing *e = rt->erasing;

	for (size_t i = 0; i < e->held_count; i++)
		if (hash_equal(&e->held[i], item)) {
			e->held[i] = e->held[--e->held_count];
			if (e->held_count == 0)
				gate_open(rt, OK);
			return;
		}
}

/* ---- the vault's answers ---- */

bool erasing_vault_type(const struct vault_request *done)
{
	if (done->arg != NULL || done->erase == NULL)
		return false;
	return done->type == VAULT_ERASE_NEXT || done->type == VAULT_ERASE_DID ||
	       done->type == VAULT_ERASE_TAKE || done->type == VAULT_ERASE_RESEAL ||
	       done->type == VAULT_SEAL;
}

void erasing_vault_done(struct runtime *rt, struct vault_request *done)
{
	if (done->erase->ran && !rt->stopping)
		prekeys_after_erase(rt);
	if (rt->stopping)
		vault_request_free(done);
	else if (done->type == VAULT_ERASE_TAKE)
		take_done(rt, done);
	else if (done->type == VAULT_ERASE_NEXT)
		next_done(rt, done);
	else if (done->type == VAULT_ERASE_RESEAL || done->type == VAULT_SEAL)
		sealed_done(rt, done);
	else
		did_done(rt, done);
}
