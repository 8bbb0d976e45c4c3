#include "server/keys/grants.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "server/internal.h"
#include "server/keys/erasing.h"
#include "server/keys/silence.h"
#include "server/log.h"
#include "server/mail.h"

enum { DAY_S = 24 * 60 * 60, FULL_MAX = 16, AWAITED_FEW = 64, LOOK_MS = 1000 };

struct grants_waiter {
	struct grants_waiter *next;
	void (*done)(void *arg);
	void *arg;
};

struct grants_work {
	struct runtime *rt;
	uv_async_t async;
	bool asked;   /* there may be something */
	bool running; /* one request, append or item of mail is under way */
	bool failed;  /* the last thing could not be done now */
	uint64_t day; /* of the last review of everything */
	struct sealed_batch batch;
	/* What is on its way to the mail. */
	uint8_t id[16];
	struct hash item;
	char to[LIMIT_NODE_NAME + 1];
	/* For whom too much mail is waiting already: the others go on. Until the next minute. */
	char full[FULL_MAX][LIMIT_NODE_NAME + 1];
	size_t full_count;
	uint64_t looked_ms;    /* for ends */
	uint64_t waiting;      /* grants that could not leave, when last looked at */
	struct buf taken_back; /* items of mail, likewise */
	bool swept;            /* those of before this start are among them */
	struct buf awaited;    /* items of mail whose ends are waited for, one after the other */
	struct grants_waiter *waiters;
};

/* ---- who may be given keys ---- */

const char *grants_held_back(const struct runtime *rt, const char *node)
{
	const struct member *member = directory_find(engine_directory(rt->engine), bytes_str(node));

	if (member == NULL || !member->active)
		return "it is no active member of the network";
	if (rt->keys != NULL && !trust_confirmed(&rt->keys->trust, member->name, &member->node))
		return "its key is not confirmed here: compare its words on the telephone, and run "
		       "'sauti node confirm'";
	if (prekeys_of(rt, node) == NULL)
		return "it has published no key for mail yet, or its log has not come here";
	return silence_holds(rt, node);
}

static bool is_full(const struct grants_work *work, const char *node)
{
	for (size_t i = 0; i < work->full_count; i++)
		if (strcmp(work->full[i], node) == 0)
			return true;
	return false;
}

static void recipient_fill(
	const struct runtime *rt, const struct member *member, struct vault_recipient *to)
{
	const struct known_prekey *prekey = prekeys_of(rt, member->name);

	memcpy(to->node, member->name, sizeof(to->node));
	snprintf(to->country, sizeof(to->country), "%s", member->country);
	sha256(BYTES_ARRAY(member->node.b), &to->node_key);
	for (const struct former *f = member->former;
		f != NULL && !f->replaced && to->former_count < VAULT_FORMER_MAX; f = f->former)
		sha256(BYTES_ARRAY(f->node.b), &to->former[to->former_count++]);
	to->auditor = member->active && member->role == ROLE_AUDITOR;
	to->ready =
		grants_held_back(rt, member->name)[0] == '\0' && !is_full(rt->grants, member->name);
	if (prekey != NULL)
		to->prekey = prekey->prekey;
}

struct vault_grant *grants_ask(const struct runtime *rt)
{
	const struct directory *directory = engine_directory(rt->engine);
	struct vault_grant *grant = mem_zalloc(sizeof(*grant));
	const struct member *member;
	size_t members = 0;

	while (directory_at(directory, members) != NULL)
		members++;
	if (grant != NULL && members > 0)
		grant->recipients = mem_array(members, sizeof(*grant->recipients));
	if (grant == NULL || (members > 0 && grant->recipients == NULL))
		runtime_out_of_memory();
	for (size_t i = 0; (member = directory_at(directory, i)) != NULL; i++)
		if (strcmp(member->name, rt->node) != 0)
			recipient_fill(rt, member, &grant->recipients[grant->recipient_count++]);
	return grant;
}

/* ---- into the ledger ---- */

struct granting {
	struct runtime *rt;
	struct sealed_batch batch;
	uint8_t id[16];
	grant_done done;
	void *arg;
};

static struct vault_request *ask(struct runtime *rt, enum vault_type type)
{
	struct vault_request *request = vault_request_new(type, NULL);

	if (request == NULL)
		runtime_out_of_memory();
	request->grant = grants_ask(rt);
	request->now_ms = runtime_wall_ms();
	request->now_s = request->now_ms / 1000;
	return request;
}

static void granting_end(struct granting *g, enum err error, const char *why, uint64_t index)
{
	if (error != OK && !g->rt->stopping) { /* as if it had not been asked for */
		struct vault_request *drop = ask(g->rt, VAULT_GRANT_DROP);

		memcpy(drop->grant->id, g->id, sizeof(g->id));
		vault_submit(g->rt->vault, drop);
	}
	g->done(g->arg, error, why, index);
	mem_free(g);
}

static void on_granted(void *arg, enum err error, uint64_t index)
{
	struct granting *g = arg;

	runtime_tell_vault(g->rt, g->batch, error, index);
	granting_end(g, error, err_text(error), index);
}

/* Into the log, unless what was sealed before it has failed. */
static void append(struct runtime *rt, struct vault_request *done, append_done end, void *arg)
{
	struct sealed_batch batch = {done->batch, done->wave};
	struct entries *entries = done->entries;

	if (!runtime_may_append(rt, batch)) {
		end(arg, rt->failed_wave_error, 0);
		return;
	}
	done->entries = NULL;
	runtime_append(rt, done->log_origin, entries, end, arg);
}

void grants_append(struct runtime *rt, struct vault_request *done, grant_done end, void *arg)
{
	struct granting *g = mem_zalloc(sizeof(*g));

	if (g == NULL)
		runtime_out_of_memory();
	assert(done->entries != NULL);
	*g = (struct granting){
		.rt = rt, .batch = {done->batch, done->wave}, .done = end, .arg = arg};
	memcpy(g->id, done->grant->id, sizeof(g->id));
	append(rt, done, on_granted, g);
}

/* ---- the work ---- */

static void go_on(struct grants_work *work);

static void settled(struct grants_work *work)
{
	struct grants_waiter *waiter = work->waiters;

	work->waiters = NULL;
	while (waiter != NULL) {
		struct grants_waiter *next = waiter->next;

		waiter->done(waiter->arg);
		mem_free(waiter);
		waiter = next;
	}
}

static void pause_work(struct grants_work *work, const char *what, enum err error, const char *why)
{
	work->running = false;
	work->asked = true;
	work->failed = error != ERR_LOCKED;
	if (error != ERR_LOCKED && error != ERR_CANCELED)
		log_line(LOG_WARNING, "grants: %s: %s", what, why);
	settled(work);
}

static bool may_work(const struct runtime *rt)
{
	return !rt->stopping && rt->keys != NULL && !rt->opening && rt->mail != NULL &&
	       rt->mail->store != NULL && guard_state_writable(&rt->guard_state) &&
	       rt->condition.trouble == TROUBLE_NONE;
}

static void review(struct grants_work *work)
{
	struct vault_request *request = ask(work->rt, VAULT_GRANT_REVIEW);
	uint64_t day = request->now_s / DAY_S;

	request->renew = day != work->day; /* everything: something ends each day */
	work->day = day;
	vault_submit(work->rt->vault, request);
}

static void go_on(struct grants_work *work)
{
	if (work->running)
		return;
	if (!work->asked || work->failed || !may_work(work->rt)) {
		settled(work);
		return;
	}
	work->running = true;
	work->asked = false;
	review(work);
}

static void on_withdrawn(void *arg, enum err error)
{
	(void)arg;
	if (error != OK && error != ERR_NOTFOUND && error != ERR_CANCELED)
		log_line(
			LOG_WARNING, "grants: mail that was taken back stays: %s", err_text(error));
}

/* What nobody has carried away yet goes; for what has left there is the order. */
static void take_mail_back(struct grants_work *work)
{
	for (size_t at = 0; at + HASH_SIZE <= work->taken_back.size; at += HASH_SIZE) {
		struct hash item;

		memcpy(item.b, work->taken_back.data + at, HASH_SIZE);
		mail_withdraw(work->rt, &item, on_withdrawn, NULL);
	}
	buf_release(&work->taken_back);
}

/* Until there is nothing. What was taken back is to be destroyed where it is. */
static void go_over(struct grants_work *work)
{
	erasing_wake(work->rt);
	/* Not from within a step of the engine. */
	uv_async_send(&work->async);
	review(work);
}

static void on_reviewed(void *arg, enum err error, uint64_t index)
{
	struct grants_work *work = arg;

	runtime_tell_vault(work->rt, work->batch, error, index);
	if (work->rt->stopping)
		work->running = false;
	else if (error != OK)
		pause_work(work, "the ledger", error, err_text(error));
	else
		go_over(work);
}

static void done_review(struct grants_work *work, struct vault_request *done)
{
	if (done->result != OK) {
		pause_work(work, "review", done->result, err_message(&done->ctx, done->result));
	} else if (done->entries != NULL) {
		buf_put(&work->taken_back, buf_bytes(&done->refs));
		work->batch = (struct sealed_batch){done->batch, done->wave};
		append(work->rt, done, on_reviewed, work);
	} else {
		vault_submit(work->rt->vault, ask(work->rt, VAULT_GRANT_RELEASE));
	}
}

/* ---- into the mail ---- */

static void on_mailed(void *arg, enum err error)
{
	struct grants_work *work = arg;
	struct vault_request *request;

	if (work->rt->stopping) {
		work->running = false;
		return;
	}
	if (error == ERR_LIMIT && work->full_count < FULL_MAX) {
		snprintf(work->full[work->full_count++], sizeof(work->full[0]), "%s", work->to);
		log_line(
			LOG_WARNING, "grants: too much mail is waiting for '%s' already", work->to);
		vault_submit(work->rt->vault, ask(work->rt, VAULT_GRANT_RELEASE));
		return;
	}
	if (error != OK && error != ERR_EXISTS) {
		pause_work(work, "mail", error, err_text(error));
		return;
	}
	request = ask(work->rt, VAULT_GRANT_SENT);
	memcpy(request->grant->id, work->id, sizeof(work->id));
	request->item = work->item;
	vault_submit(work->rt->vault, request);
}

/* Whoever was killed between the ledger and the mail has not taken it back yet. */
static void sweep(struct grants_work *work, const struct vault_request *done)
{
	if (work->swept)
		return;
	work->swept = true;
	if (done->grant->taken_back == 0)
		return;
	buf_put(&work->taken_back,
		bytes_make(done->refs.data, done->grant->taken_back * HASH_SIZE));
	uv_async_send(&work->async);
}

static void done_release(struct grants_work *work, struct vault_request *done)
{
	struct runtime *rt = work->rt;
	CLEANUP(buf_release) struct buf packed;
	enum err err = done->result;

	buf_init(&packed, LIMIT_MAIL_ITEM);
	if (err == OK && done->mail.size == 0) {
		sweep(work, done);
		buf_release(&work->awaited);
		work->awaited = done->refs;
		work->waiting = done->known;
		buf_init(&done->refs, 0);
		work->running = false;
		go_on(work);
		return;
	}
	if (err == OK)
		err = rt->keys == NULL ? ERR_LOCKED
				       : mail_sign(&packed, buf_bytes(&done->mail), rt->keys->node);
	if (err != OK) {
		pause_work(work, "release", err, err_message(&done->ctx, err));
		return;
	}
	memcpy(work->id, done->grant->id, sizeof(work->id));
	snprintf(work->to, sizeof(work->to), "%s", done->grant->to);
	sha256(buf_bytes(&done->mail), &work->item);
	mail_send(rt, buf_bytes(&packed), on_mailed, work);
}

static void done_sent(struct grants_work *work, struct vault_request *done)
{
	if (done->result != OK) {
		pause_work(work, "release", done->result, err_message(&done->ctx, done->result));
		return;
	}
	log_line(LOG_INFO, "keys were sent to '%s'", work->to);
	vault_submit(work->rt->vault, ask(work->rt, VAULT_GRANT_RELEASE));
}

/* ---- what became of them ---- */

static void tell_end(struct runtime *rt, const struct hash *item, uint32_t outcome)
{
	struct vault_request *request = ask(rt, VAULT_GRANT_ENDED);

	request->item = *item;
	request->outcome = outcome;
	vault_submit(rt->vault, request);
}

static void look_for_ends(struct grants_work *work)
{
	struct runtime *rt = work->rt;
	size_t kept = 0;

	if (work->awaited.size > (size_t)AWAITED_FEW * HASH_SIZE &&
		uv_now(&rt->loop) - work->looked_ms < LOOK_MS)
		return; /* many, and just now */
	work->looked_ms = uv_now(&rt->loop);
	for (size_t at = 0; at + HASH_SIZE <= work->awaited.size; at += HASH_SIZE) {
		struct engine_mail mail;
		struct hash item;

		memcpy(item.b, work->awaited.data + at, HASH_SIZE);
		if (engine_mail_find(rt->engine, &item, &mail) && mail.ended) {
			tell_end(rt, &item, mail.outcome);
		} else {
			memmove(work->awaited.data + kept, item.b, HASH_SIZE);
			kept += HASH_SIZE;
		}
	}
	work->awaited.size = kept;
}

void grants_chores(struct runtime *rt)
{
	struct grants_work *work = rt->grants;

	if (work == NULL || rt->keys == NULL || rt->stopping)
		return;
	look_for_ends(work);
	go_on(work);
}

void grants_tidy(struct runtime *rt)
{
	struct grants_work *work = rt->grants;

	if (work == NULL || rt->keys == NULL || rt->stopping)
		return;
	work->asked = true;
	work->failed = false;
	work->full_count = 0;
	look_for_ends(work);
	go_on(work);
}

/* ---- the rest ---- */

static void on_async(uv_async_t *async)
{
	struct grants_work *work = async->data;

	take_mail_back(work);
	go_on(work);
}

void grants_kick(struct runtime *rt)
{
	if (rt->grants == NULL || rt->stopping)
		return;
	rt->grants->asked = true;
	uv_async_send(&rt->grants->async);
}

void grants_told(struct runtime *rt, const struct vault_request *done)
{
	if (done->grants_due && rt->grants != NULL && !rt->grants->running)
		grants_kick(rt);
}

void grants_settled(struct runtime *rt, void (*done)(void *arg), void *arg)
{
	struct grants_work *work = rt->grants;
	struct grants_waiter *waiter = mem_zalloc(sizeof(*waiter));

	if (waiter == NULL)
		runtime_out_of_memory();
	*waiter = (struct grants_waiter){work->waiters, done, arg};
	work->waiters = waiter;
	look_for_ends(work);
	work->asked = true;
	work->failed = false;
	uv_async_send(&work->async);
}

uint64_t grants_waiting(const struct runtime *rt)
{
	return rt->grants == NULL || rt->keys == NULL ? 0 : rt->grants->waiting;
}

bool grants_vault_type(enum vault_type type)
{
	return type == VAULT_GRANT_REVIEW || type == VAULT_GRANT_RELEASE ||
	       type == VAULT_GRANT_SENT || type == VAULT_GRANT_DROP || type == VAULT_GRANT_ENDED;
}

void grants_vault_done(struct runtime *rt, struct vault_request *done)
{
	struct grants_work *work = rt->grants;

	if (done->trouble != TROUBLE_NONE)
		runtime_disk_failed(rt, err_message(&done->ctx, done->result));
	if (rt->stopping)
		return;
	if (done->type == VAULT_GRANT_RELEASE && done->mail.size == 0)
		erasing_wake(rt); /* what was taken back is ordered destroyed */
	if (done->type == VAULT_GRANT_REVIEW)
		done_review(work, done);
	else if (done->type == VAULT_GRANT_RELEASE)
		done_release(work, done);
	else if (done->type == VAULT_GRANT_SENT)
		done_sent(work, done);
	else if (done->result != OK && done->result != ERR_LOCKED)
		log_line(LOG_WARNING, "grants: %s", err_message(&done->ctx, done->result));
}

void grants_boot(struct runtime *rt)
{
	struct grants_work *work = mem_zalloc(sizeof(*work));

	if (work == NULL)
		runtime_out_of_memory();
	work->rt = rt;
	buf_init(&work->awaited, 0);
	buf_init(&work->taken_back, LIMIT_GRANTS * HASH_SIZE);
	uv_async_init(&rt->loop, &work->async, on_async);
	work->async.data = work;
	rt->grants = work;
}

void grants_stop(struct runtime *rt)
{
	if (rt->grants == NULL)
		return;
	settled(rt->grants);
	if (!uv_is_closing((uv_handle_t *)&rt->grants->async))
		uv_close((uv_handle_t *)&rt->grants->async, NULL);
}

void grants_unload(struct runtime *rt)
{
	if (rt->grants == NULL)
		return;
	buf_release(&rt->grants->awaited);
	buf_release(&rt->grants->taken_back);
	mem_free(rt->grants);
	rt->grants = NULL;
}
