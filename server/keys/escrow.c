#include "server/keys/escrow.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "server/control/control.h"
#include "server/control/wait.h"
#include "server/internal.h"
#include "server/keys/erasing.h"
#include "server/keys/silence.h"
#include "server/log.h"
#include "server/mail.h"

/* ---- who there is ---- */

static bool is_node(const struct runtime *rt, const struct member *member)
{
	return member->active && strcmp(member->name, rt->node) != 0;
}

static void node_fill(
	const struct runtime *rt, const struct member *member, struct vault_custodian *ret)
{
	const struct known_prekey *prekey = prekeys_of(rt, member->name);

	*ret = (struct vault_custodian){.key = member->node};
	memcpy(ret->node, member->name, sizeof(ret->node));
	/* No version key leaves while a revocation may be missing: what is here goes on. */
	if (prekey != NULL && silence_holds(rt, member->name)[0] == '\0')
		ret->prekey = prekey->prekey;
}

static enum err nodes_fill(const struct runtime *rt, struct vault_escrow *io)
{
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *member;
	size_t count = 0;

	while (directory_at(directory, count) != NULL)
		count++;
	io->nodes = mem_array(count + 1, sizeof(*io->nodes));
	if (io->nodes == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; (member = directory_at(directory, i)) != NULL; i++)
		if (is_node(rt, member))
			node_fill(rt, member, &io->nodes[io->node_count++]);
	return OK;
}

static bool chosen(const struct vault_escrow *io, const char *name)
{
	for (size_t i = 0; i < io->wanted_count; i++)
		if (strcmp(io->wanted[i], name) == 0)
			return true;
	return false;
}

static void choose(struct vault_escrow *io, const char *name)
{
	if (io->wanted_count < LIMIT_ESCROW_CUSTODIANS && !chosen(io, name))
		snprintf(io->wanted[io->wanted_count++], LIMIT_NODE_NAME + 1, "%s", name);
}

/* A number that spreads the offices' custodians over the network, and stays. */
static void weight(const struct runtime *rt, const char *name, struct hash *ret)
{
	struct bytes parts[] = {bytes_str(rt->node), bytes_str("/"), bytes_str(name)};

	sha256_parts(parts, 3, ret);
}

/* The member of the least weight that is not chosen; headquarters only when asked for. */
static const struct member *least(
	const struct runtime *rt, const struct vault_escrow *io, bool headquarters)
{
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *member, *best = NULL;
	struct hash low, this;

	for (size_t i = 0; (member = directory_at(directory, i)) != NULL; i++) {
		if (!is_node(rt, member) || chosen(io, member->name) ||
			(member->role == ROLE_HQ) != headquarters)
			continue;
		weight(rt, member->name, &this);
		if (best == NULL || memcmp(this.b, low.b, HASH_SIZE) < 0) {
			best = member;
			low = this;
		}
	}
	return best;
}

/* Those of the configuration; else whoever might be, in an order that stays: headquarters, which
 * everybody reaches, then others. The vault keeps those there are as long as they are members. */
static void custodians_choose(const struct runtime *rt, struct vault_escrow *io)
{
	const struct node_config *config = &rt->config;
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *member;

	io->configured = config->custodians[0][0] != '\0';
	for (size_t i = 0; i < LIMIT_ESCROW_CUSTODIANS && config->custodians[i][0] != '\0'; i++) {
		member = directory_find(directory, bytes_str(config->custodians[i]));
		if (member != NULL && is_node(rt, member))
			choose(io, member->name);
	}
	if (io->configured)
		return;
	if ((member = least(rt, io, true)) != NULL)
		choose(io, member->name);
	while (io->wanted_count < LIMIT_ESCROW_CUSTODIANS &&
		(member = least(rt, io, false)) != NULL)
		choose(io, member->name);
}

/* What any of this node's keys has signed counts: a machine that took another's place reads what
 * the former one wrote. */
static void signers_fill(const struct runtime *rt, struct vault_escrow *io)
{
	const struct member *self =
		directory_find(engine_directory(rt->engine), bytes_str(rt->node));

	if (rt->keys != NULL)
		io->signers[io->signer_count++] = *signer_public(rt->keys->node);
	if (self == NULL)
		return;
	io->signers[io->signer_count++] = self->node;
	for (const struct former *f = self->former;
		f != NULL && io->signer_count < LIMIT_ESCROW_SIGNERS; f = f->former)
		io->signers[io->signer_count++] = f->node;
}

struct vault_request *escrow_ask(struct runtime *rt, enum vault_type type, void *arg)
{
	struct vault_request *ask = vault_request_new(type, arg);
	struct vault_escrow *io = ask == NULL ? NULL : mem_zalloc(sizeof(*io));

	if (io == NULL) {
		vault_request_free(ask);
		return NULL;
	}
	ask->escrow = io;
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	io->writable = guard_state_writable(&rt->guard_state) && !rt->opening &&
		       rt->condition.trouble == TROUBLE_NONE;
	if (rt->keys != NULL)
		io->own_prekey = rt->keys->prekey;
	if (nodes_fill(rt, io) != OK || control_held(rt, ask) != OK) {
		vault_request_free(ask);
		return NULL;
	}
	custodians_choose(rt, io);
	signers_fill(rt, io);
	return ask;
}

/* ---- letters ---- */

static void on_sent(void *arg, enum err error)
{
	struct runtime *rt = arg;

	rt->escrow.coming--;
	if (error != OK && error != ERR_EXISTS && error != ERR_CANCELED)
		log_line(LOG_WARNING, "a letter about escrow could not be sent: %s",
			err_text(error));
}

void escrow_send(struct runtime *rt, struct vault_request *done)
{
	for (struct vault_letter *l = done->letters; l != NULL && rt->keys != NULL; l = l->next) {
		struct buf packed;

		buf_init(&packed, LIMIT_MAIL_ITEM);
		if (mail_sign(&packed, buf_bytes(&l->body), rt->keys->node) == OK) {
			rt->escrow.coming++;
			mail_send(rt, buf_bytes(&packed), on_sent, rt);
		}
		buf_release(&packed);
	}
}

/* ---- a step ---- */

static void plan(struct runtime *rt, uint64_t delay_ms);

static void step_end(struct runtime *rt)
{
	rt->escrow.asking = false;
	if (!rt->stopping && rt->keys != NULL)
		plan(rt, rt->escrow.again ? ESCROW_DELAY_MS : ESCROW_IDLE_MS);
	rt->escrow.again = false;
}

static void tell_written(struct runtime *rt, enum err error, uint64_t index)
{
	struct vault_request *tell;

	if (rt->stopping || rt->keys == NULL) {
		rt->escrow.asking = false;
		return;
	}
	tell = escrow_ask(rt, VAULT_ESCROW_WRITTEN, NULL);
	if (tell == NULL)
		runtime_out_of_memory();
	tell->escrow->error = error;
	tell->index = index;
	tell->escrow->ticket = rt->escrow.ticket;
	rt->escrow.wrote_ms = uv_now(&rt->loop);
	vault_submit(rt->vault, tell);
}

static void on_appended(void *arg, enum err error, uint64_t index)
{
	tell_written(arg, error, index);
}

static void append(struct runtime *rt, const struct bytes *list, size_t count)
{
	struct entries *entries;
	enum err err = entries_make(list, count, &entries);

	if (err != OK) {
		tell_written(rt, err, 0);
		return;
	}
	runtime_append(rt, rt->keys->log_origin, entries, on_appended, rt);
}

static void append_chunks(struct runtime *rt, const struct vault_escrow *io)
{
	struct bytes list[ESCROW_STEP_CHUNKS];
	struct buf entries[ESCROW_STEP_CHUNKS];
	enum err err = OK;

	for (size_t i = 0; i < io->chunk_count; i++) {
		buf_init(&entries[i], LIMIT_ENTRY_SIZE);
		if (err == OK)
			err = escrow_chunk_write(&entries[i], &io->chunks[i], rt->keys->node);
		list[i] = buf_bytes(&entries[i]);
	}
	if (err == OK)
		append(rt, list, io->chunk_count);
	else
		tell_written(rt, err, 0);
	for (size_t i = 0; i < io->chunk_count; i++)
		buf_release(&entries[i]);
}

static void append_manifest(struct runtime *rt, const struct vault_escrow *io)
{
	struct buf entry;
	struct bytes list;
	enum err err;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	err = escrow_manifest_write(&entry, &io->manifest, rt->keys->node);
	list = buf_bytes(&entry);
	if (err == OK)
		append(rt, &list, 1);
	else
		tell_written(rt, err, 0);
	buf_release(&entry);
}

static void status_take(struct runtime *rt, const struct vault_request *done)
{
	const struct vault_doc *doc = done->docs;
	json_t *status =
		doc == NULL ? NULL
			    : json_loadb((const char *)doc->json.data, doc->json.size, 0, NULL);

	if (status == NULL)
		return;
	json_decref(rt->escrow.status);
	rt->escrow.status = status;
	rt->escrow.told = !rt->escrow.again;
	rt->escrow.set = json_is_true(json_object_get(status, "set_up"));
}

static void stepped(struct runtime *rt, struct vault_request *done)
{
	const struct vault_escrow *io = done->escrow;

	if (done->result != OK && done->result != ERR_LOCKED && done->result != ERR_CANCELED)
		log_line(LOG_WARNING, "escrow: %s", err_message(&done->ctx, done->result));
	if (done->result == OK) {
		status_take(rt, done);
		waits_wake(rt);
		escrow_send(rt, done);
		if (io->erasing)
			erasing_wake(rt);
	}
	if (done->result != OK || rt->keys == NULL || io->what == VAULT_ESCROW_NOTHING) {
		if (done->arg == NULL)
			step_end(rt);
		return;
	}
	rt->escrow.asking = true;
	rt->escrow.ticket = io->ticket;
	if (io->what == VAULT_ESCROW_CHUNKS)
		append_chunks(rt, io);
	else
		append_manifest(rt, io);
}

static void step(struct runtime *rt)
{
	struct vault_request *ask;

	if (rt->stopping || rt->keys == NULL)
		return;
	if (rt->escrow.asking) {
		rt->escrow.again = true;
		return;
	}
	ask = escrow_ask(rt, VAULT_ESCROW, NULL);
	if (ask == NULL)
		runtime_out_of_memory();
	rt->escrow.asking = true;
	vault_submit(rt->vault, ask);
}

static void on_timer(uv_timer_t *timer)
{
	step(timer->data);
}

/* An earlier one stays. */
static void plan(struct runtime *rt, uint64_t delay_ms)
{
	uv_timer_t *timer = &rt->escrow.timer;

	if (rt->stopping || rt->keys == NULL)
		return;
	if (uv_is_active((uv_handle_t *)timer) && uv_timer_get_due_in(timer) <= delay_ms)
		return;
	uv_timer_start(timer, on_timer, delay_ms, 0);
}

void escrow_wake(struct runtime *rt)
{
	uint64_t since = uv_now(&rt->loop) - rt->escrow.wrote_ms;
	uint64_t delay = rt->escrow.wrote_ms == 0 || since >= ESCROW_PAUSE_MS
				 ? ESCROW_DELAY_MS
				 : ESCROW_PAUSE_MS - since;

	rt->escrow.told = false;
	if (rt->escrow.asking)
		rt->escrow.again = true;
	else
		plan(rt, delay);
}

/* ---- the vault's answers, and the end ---- */

bool escrow_is(enum vault_type type)
{
	return type == VAULT_ESCROW || type == VAULT_ESCROW_WRITTEN || type == VAULT_ESCROW_SETUP ||
	       type == VAULT_RECOVER_LOOK || type == VAULT_RECOVER;
}

void escrow_done(struct runtime *rt, struct vault_request *done)
{
	if (rt->stopping)
		return;
	switch (done->type) {
	case VAULT_ESCROW:
		stepped(rt, done);
		break;
	case VAULT_ESCROW_WRITTEN:
		/* The manifest follows its chunks, and more chunks these, at once. */
		rt->escrow.asking = rt->escrow.again = false;
		if (done->result == OK && done->escrow->error == OK)
			plan(rt, 0);
		else
			plan(rt, ESCROW_PAUSE_MS);
		break;
	default:
		if (done->result == OK && done->type == VAULT_ESCROW_SETUP) {
			escrow_forget(rt); /* what it said was of before */
			rt->escrow.set = true;
		}
		if (done->result == OK)
			escrow_send(rt, done);
		if (done->result == OK && done->type == VAULT_RECOVER && !done->escrow->drill &&
			done->added > 0)
			rt->unread = done->unread;
		if (done->result == OK && done->type != VAULT_RECOVER_LOOK)
			plan(rt, 0);
		break;
	}
}

void escrow_drop(struct vault_request *done)
{
	mem_free(done->arg);
}

void escrow_begin(struct runtime *rt)
{
	uv_timer_init(&rt->loop, &rt->escrow.timer);
	rt->escrow.timer.data = rt;
}

void escrow_forget(struct runtime *rt)
{
	uv_timer_stop(&rt->escrow.timer);
	json_decref(rt->escrow.status);
	rt->escrow.status = NULL;
}

void escrow_end(struct runtime *rt)
{
	escrow_forget(rt);
}

json_t *escrow_json(const struct runtime *rt)
{
	return rt->escrow.status == NULL ? json_null() : json_incref(rt->escrow.status);
}
