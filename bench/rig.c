#include "rig.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "certs/record.h"
#include "lib.h"

static void on_wake(void *arg)
{
	const struct rig *rig = arg;
	uint64_t one = 1;

	if (write(rig->woken, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void writer_begin(struct rig *rig, const struct rig_opts *opts)
{
	struct guard_opts guard = {
		.path = opts->guard,
		.network = opts->network,
		.node = opts->node,
		.directory = opts->directory_own ? opts->directory.text : "",
	};
	struct writer_opts writer = {.wake = on_wake, .wake_arg = rig, .store = rig->store};
	enum guard_verdict verdict = GUARD_SAME;
	struct errctx why = {""}, ctx = {""};

	if (opts->guard != NULL) {
		check(guard_open(&guard, &rig->guard, &ctx), &ctx, "open the guard");
		check(guard_check(rig->guard, rig->store, &verdict, &why, &ctx), &ctx,
			"ask the guard");
		if (verdict != GUARD_NEW && verdict != GUARD_SAME)
			die("guard: %s", why.text);
	}
	writer.guard = rig->guard;
	check(writer_start(&writer, &rig->writer, &ctx), &ctx, "start the writer");
}

/* Steps. */

static void step(struct rig *rig, struct event *event);

static void answer_sign(struct rig *rig, const struct effect *effect)
{
	struct event event = {.type = EVENT_SIGNED, .origin = &rig->origin};

	assert(strcmp(effect->origin.text, rig->origin.text) == 0);
	event.error = signer_sign(rig->log, buf_bytes(&effect->body), &event.signature);
	step(rig, &event);
}

static void on_appended(struct rig *rig, const struct effect *effect)
{
	check(effect->error, NULL, "append");
	rig->under_way--;
}

static void on_notice(const struct effect *effect)
{
	if (effect->notice >= NOTICE_WARNING)
		fprintf(stderr, "engine: %s\n", effect->text);
}

/* An effect may lead to the next step; the list of this one is whole by then. */
static void perform(struct rig *rig, struct effect *effect)
{
	switch (effect->type) {
	case EFFECT_SIGN:
		answer_sign(rig, effect);
		break;
	case EFFECT_WRITE:
		writer_submit(rig->writer, effect->write);
		effect->write = NULL;
		break;
	case EFFECT_APPENDED:
		on_appended(rig, effect);
		break;
	case EFFECT_NOTICE:
		on_notice(effect);
		break;
	default: /* cosignatures of others' logs, members: not of the own log's write path */
		break;
	}
}

static void step(struct rig *rig, struct event *event)
{
	struct effects effects = {0};
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	event->now_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	event->wall_s = (uint64_t)time(NULL);
	check(engine_step(rig->engine, event, &effects), NULL, "step");
	for (size_t i = 0; i < effects.count; i++)
		perform(rig, &effects.list[i]);
	effects_release(&effects);
}

static void drain(struct rig *rig)
{
	struct errctx ctx = {""};
	uint64_t wakes;
	struct store_write *write;

	while (read(rig->woken, &wakes, sizeof(wakes)) < 0)
		if (errno != EINTR)
			die("wait for the writer: %s", strerror(errno));
	write = writer_done(rig->writer, &ctx);
	while (write != NULL) {
		struct store_write *next = write->next;

		check(write->result, &ctx, "write");
		if (write->entries != NULL)
			rig->size = write->first + write->entries->count;
		write->next = NULL;
		step(rig, &(struct event){.type = EVENT_WRITTEN, .write = write});
		write = next;
	}
}

void rig_append(struct rig *rig, struct entries *entries)
{
	rig->under_way++;
	step(rig, &(struct event){.type = EVENT_APPEND,
			  .origin = &rig->origin,
			  .entries = entries,
			  .ticket = ++rig->next_ticket});
}

void rig_wait(struct rig *rig, size_t left)
{
	while (rig->under_way > left)
		drain(rig);
}

/* Opening. */

static void load_heads(struct rig *rig)
{
	struct errctx ctx = {""};
	struct log_head *heads = NULL;
	size_t count = 0;

	check(store_heads(rig->store, &heads, &count, &ctx), &ctx, "read the heads");
	for (size_t i = 0; i < count; i++) {
		if (strcmp(heads[i].origin.text, rig->origin.text) == 0)
			rig->size = heads[i].size;
		step(rig, &(struct event){.type = EVENT_LOG_LOADED, .head = &heads[i]});
		log_head_release(&heads[i]);
	}
	mem_free(heads);
}

static void log_begin(struct rig *rig, const struct rig_opts *opts)
{
	struct log_opened opened = {
		.origin = rig->origin.text,
		.previous_origin = "",
		.log_key = *signer_public(opts->log),
		.opened_at = (uint64_t)time(NULL),
	};
	struct entries *entries = NULL;
	struct buf entry;
	struct bytes view;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	check(log_opened_write(&entry, &opened, opts->node_key), NULL, "make LogOpened");
	view = buf_bytes(&entry);
	check(entries_make(&view, 1, &entries), NULL, "make LogOpened");
	buf_release(&entry);
	rig_append(rig, entries);
	rig_wait(rig, 0);
}

void rig_open(struct rig *rig, const struct rig_opts *opts)
{
	struct store_opts store = {
		.path = opts->store, .network = opts->network, .node = opts->node};
	struct engine_opts engine = {
		.network = opts->network,
		.node = opts->node,
		.directory = opts->directory,
		.directory_key = opts->directory_key,
		.directory_own = opts->directory_own,
		.timing = engine_timing_default,
		.seed = 1,
	};
	struct errctx ctx = {""};

	*rig = (struct rig){.log = opts->log};
	rig->woken = eventfd(0, EFD_CLOEXEC);
	if (rig->woken < 0)
		die("eventfd: %s", strerror(errno));
	if (opts->origin != NULL)
		snprintf(rig->origin.text, sizeof(rig->origin.text), "%s", opts->origin);
	check(store_open(&store, &rig->store, &ctx), &ctx, "open the store");
	check(engine_new(&engine, &rig->engine), NULL, "make the engine");
	load_heads(rig);
	writer_begin(rig, opts);
	step(rig, &(struct event){.type = EVENT_START});
	if (opts->origin == NULL)
		return;
	step(rig, &(struct event){.type = EVENT_UNLOCKED,
			  .origin = &rig->origin,
			  .key = signer_public(opts->log)});
	if (rig->size == 0)
		log_begin(rig, opts);
}

void rig_close(struct rig *rig)
{
	rig_wait(rig, 0);
	writer_stop(rig->writer);
	writer_free(rig->writer);
	guard_close(rig->guard);
	engine_free(rig->engine);
	store_close(rig->store);
	close(rig->woken);
}

/* An identity. */

static struct signer *signer_of(uint8_t number)
{
	uint8_t seed[ED25519_SEED_SIZE] = {number};
	struct signer *signer = NULL;

	check(signer_new(BYTES_ARRAY(seed), &signer), NULL, "make a key");
	return signer;
}

void rig_identity_init(struct rig_identity *identity, struct rig_opts *ret, const char *store)
{
	static const char network[] = "bench.example", node[] = "office";
	const uint8_t random[8] = {1};

	identity->log = signer_of(1);
	identity->node = signer_of(2);
	identity->directory = signer_of(3);
	*ret = (struct rig_opts){
		.store = store,
		.network = network,
		.node = node,
		.directory_key = *signer_public(identity->directory),
		.origin = identity->origin.text,
		.log = identity->log,
		.node_key = identity->node,
	};
	check(origin_make(bytes_str(network), bytes_str(node), 1, random, &identity->origin), NULL,
		"make an origin");
	check(origin_make(bytes_str(network), bytes_str("directory"), 1, random, &ret->directory),
		NULL, "make an origin");
}

void rig_identity_release(struct rig_identity *identity)
{
	signer_free(identity->log);
	signer_free(identity->node);
	signer_free(identity->directory);
}
