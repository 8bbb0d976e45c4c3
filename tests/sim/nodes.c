#include "tests/sim/nodes.h"

#include <assert.h>

#include "tests/sim/check.h"
#include "tests/sim/genesis.h"
#include "tests/sim/post.h"
#include "tests/sim/submit.h"

enum { TIDY_MS = 10 * 1000, TICKS_PER_SECOND = 500 };

static void do_write(struct world *world, struct node *node, struct effect *effect)
{
	if (node->disk.queue == NULL)
		queue_plan(world, 2 + world_random(world, world->shape.disk_slow ? 3000 : 40),
			ITEM_COMMIT, node);
	disk_submit(&node->disk, effect->write);
	effect->write = NULL;
}

static void do_sign(
	struct world *world, struct node *node, struct effect *effect, enum item_type type)
{
	struct item *item = queue_plan(world, world_random(world, 3), type, node);

	item->origin = effect->origin;
	item->witness = effect->witness;
	item->data = effect->body;
	buf_init(&effect->body, 0);
}

static void perform(struct world *world, struct node *node, struct effect *effect)
{
	check_effect(world, node, effect);
	post_effect(world, node, effect);
	switch (effect->type) {
	case EFFECT_DIAL:
		links_dial(world, node, effect);
		break;
	case EFFECT_SEND:
		link_send(world, node, effect);
		break;
	case EFFECT_CLOSE:
		link_close(world, effect);
		break;
	case EFFECT_WRITE:
		do_write(world, node, effect);
		break;
	case EFFECT_READ:
		queue_plan(world, 1 + world_random(world, world->shape.disk_slow ? 8000 : 10),
			ITEM_READ, node)
			->read = effect->read;
		break;
	case EFFECT_VERIFY:
		queue_plan(world, 1 + world_random(world, 200), ITEM_VERIFIED, node)->read =
			(struct store_read){.origin = effect->origin};
		break;
	case EFFECT_SIGN:
		do_sign(world, node, effect, ITEM_SIGN);
		break;
	case EFFECT_COSIGN:
		do_sign(world, node, effect, ITEM_COSIGN);
		break;
	case EFFECT_APPENDED:
		if (effect->error == OK) {
			world_say(world, "%s: append %llu is durable at index %llu", node->name,
				(unsigned long long)effect->ticket,
				(unsigned long long)effect->index);
			check_acknowledged(world, node, effect->ticket, effect->index);
		} else {
			world_say(world, "%s: append %llu failed: %s", node->name,
				(unsigned long long)effect->ticket, err_text(effect->error));
			if (disk_find(&node->disk, &node->keys.origin) == NULL)
				queue_plan(world, 1000, ITEM_OPEN, node);
		}
		break;
	case EFFECT_HELD:
		world_say(world, "%s: '%s' holds %llu entries of %s", node->name, effect->peer,
			(unsigned long long)effect->index, effect->origin.text);
		break;
	case EFFECT_FORKED: /* a notice says it too */
		if (strcmp(effect->origin.text, node->keys.origin.text) == 0)
			guard_stopped(node);
		if (engine_witness_lost(node->engine))
			guard_lose_witness(node, true);
		break;
	case EFFECT_WITNESSED:
		submit_answered(world, node, effect);
		break;
	case EFFECT_MEMBERS:
	case EFFECT_IMPORTED: /* no bundles here */
		break;
	case EFFECT_NOTICE:
		world_say(world, "%s: %s", node->name, effect->text);
		break;
	case EFFECT_MAIL_WRITE:
	case EFFECT_MAIL_READ:
	case EFFECT_MAIL_DELIVER:
	case EFFECT_MAIL_SUBMITTED:
	case EFFECT_MAIL_WITHDRAWN:
		break;
	}
}

uint64_t node_clock(const struct world *world, const struct node *node)
{
	return (uint64_t)(1700000000 + (int64_t)(world->now_ms / 1000) + node->clock_s);
}

struct node *node_at(struct world *world, const struct node *from, const char *name)
{
	struct node *found = NULL;

	for (size_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];

		if (strcmp(node->name, name) != 0 || node->gone)
			continue;
		/* Of two machines half of the others reach the one, half the other. */
		if (found == NULL || from->number % 2 == 1)
			found = node;
	}
	assert(found != NULL);
	return found;
}

/* An engine that wants to be woken all the time does something for nothing. */
static void count_tick(struct world *world, struct node *node)
{
	if (world->now_ms - node->ticks_since_ms >= 1000) {
		node->ticks_since_ms = world->now_ms;
		node->ticks = 0;
	}
	if (++node->ticks > TICKS_PER_SECOND)
		world_fail(world, "%s is woken all the time", node->name);
}

void node_tick(struct world *world, struct node *node)
{
	if (node->tick_at != world->now_ms)
		return; /* an earlier one took its place */
	node->tick_at = UINT64_MAX;
	count_tick(world, node);
	node_step(world, node, &(struct event){.type = EVENT_TICK});
}

static void plan_tick(struct world *world, struct node *node)
{
	uint64_t due = engine_deadline(node->engine);

	if (due == UINT64_MAX || due >= node->tick_at)
		return;
	node->tick_at = due > world->now_ms ? due : world->now_ms + 1;
	queue_plan(world, node->tick_at - world->now_ms, ITEM_TICK, node);
}

void node_step(struct world *world, struct node *node, struct event *event)
{
	struct effects effects = {0};

	event->now_ms = world->now_ms;
	event->wall_s = node_clock(world, node);
	enum err err = engine_step(node->engine, event, &effects);

	assert(err == OK);
	world->counts.steps++;
	for (size_t i = 0; i < effects.count; i++)
		perform(world, node, &effects.list[i]);
	effects_release(&effects);
	plan_tick(world, node);
}

static void load_disk(struct world *world, struct node *node)
{
	for (size_t i = 0; i < node->disk.evidence_count; i++)
		node_step(world, node,
			&(struct event){.type = EVENT_EVIDENCE_LOADED,
				.entry = buf_bytes(&node->disk.evidence[i].message)});
	for (size_t i = 0; i < node->disk.log_count; i++) {
		struct log_head head;

		disk_head(node->disk.logs[i], &head);
		node_step(world, node, &(struct event){.type = EVENT_LOG_LOADED, .head = &head});
		log_head_release(&head);
	}
	struct disk_log *directory = disk_find(&node->disk, &world->directory);

	for (size_t i = 0; i < directory->size; i++)
		node_step(world, node,
			&(struct event){
				.type = EVENT_DIRECTORY_LOADED, .entry = disk_entry(directory, i)});
}

void node_append(struct world *world, struct node *node, const struct origin *origin,
	struct buf *list, size_t count)
{
	struct bytes views[8];
	struct event event = {.type = EVENT_APPEND, .origin = origin};

	for (size_t i = 0; i < count; i++)
		views[i] = buf_bytes(&list[i]);
	enum err err = entries_make(views, count, &event.entries);

	assert(err == OK);
	event.ticket = world->check->asked_count;
	check_asked(world, node, event.ticket, origin, event.entries);
	node_step(world, node, &event);
}

/* As a node does after unlock: the log begins with its LogOpened. */
void node_open_log(struct world *world, struct node *node)
{
	struct buf opened;

	if (disk_find(&node->disk, &node->keys.origin) != NULL)
		return;
	buf_init(&opened, LIMIT_ENTRY_SIZE);
	genesis_log_opened(node, &node->keys.origin, node->keys.log, &opened);
	node_append(world, node, &node->keys.origin, &opened, 1);
	buf_release(&opened);
}

static void unlock(struct world *world, struct node *node)
{
	if (node->number == 0 && node->guard.directory_ok)
		node_step(world, node,
			&(struct event){.type = EVENT_UNLOCKED,
				.origin = &world->directory,
				.key = signer_public(world->directory_key)});
	if (!guard_writable(node))
		return;
	node_step(world, node,
		&(struct event){.type = EVENT_UNLOCKED,
			.origin = &node->keys.origin,
			.key = signer_public(node->keys.log)});
	node_open_log(world, node);
}

/* Some operators have set a rate, in one direction or in both. Of the seed and the node alone, so
 * that a restart keeps it and nothing else of the run depends on it. */
static struct rate_link node_link(const struct world *world, const struct node *node)
{
	uint64_t dice = (world->seed * 64 + node->number + 1) * 0x9e3779b97f4a7c15u >> 32;
	struct rate_link link = RATE_LINK_ANY;

	if (!world->shape.rates)
		return link;
	if (dice % 3 == 0)
		link.up = 4000 + dice / 16 % 30000;
	if (dice / 3 % 3 == 0)
		link.down = 4000 + dice / 64 % 30000;
	return link;
}

void node_boot(struct world *world, struct node *node)
{
	struct rate_link link = node_link(world, node);
	struct engine_opts opts = {
		.network = "sim.example",
		.node = node->name,
		.directory = world->directory,
		.directory_key = *signer_public(world->directory_key),
		.mirror = node->keys.member.mirror,
		.timing = engine_timing_default,
		.link = &link,
		.seed = world_random(world, UINT64_MAX),
	};

	post_timing(&opts.timing);
	opts.timing.dial_max = (uint32_t)world->shape.dial_max_ms;
	opts.timing.cosigned_delay = (uint32_t)world->shape.cosigned_delay_ms;
	node->life++;
	node->tick_at = UINT64_MAX;
	node->disk.broken = false;
	memset(node->dials, 0, sizeof(node->dials));
	guard_start(world, node, &opts);
	enum err err = engine_new(&opts, &node->engine);

	assert(err == OK);
	load_disk(world, node);
	check_restarted(world, node);
	for (size_t i = 0; i < world->shape.nodes; i++)
		if (shape_dials(world, node->place, i))
			node_step(world, node,
				&(struct event){.type = EVENT_PEER, .peer = world->nodes[i].name});
	post_boot(world, node);
	node_step(world, node, &(struct event){.type = EVENT_START});
	unlock(world, node);
	post_unlock(world, node);
	if (node->guard.paused)
		queue_plan(world, TIDY_MS, ITEM_TIDY, node);
}

void node_tidy(struct world *world, struct node *node)
{
	if (guard_caught_up(world, node))
		node_step(world, node, &(struct event){.type = EVENT_CAUGHT_UP});
	else if (node->guard.paused)
		queue_plan(world, TIDY_MS, ITEM_TIDY, node);
}

struct durable {
	struct world *world;
	struct node *node;
};

static void on_durable(void *arg, const struct store_write *write)
{
	struct durable *durable = arg;

	check_durable(durable->world, durable->node, write);
}

void node_crash(struct world *world, struct node *node)
{
	struct durable durable = {world, node};
	struct disk_watch watch = {on_durable, &durable};
	bool waits = node->disk.queue != NULL;

	world->counts.crashes++;
	/* Power went while the disk was syncing: it got through, or it did not. */
	if (waits && world_chance(world, 500)) {
		world_say(
			world, "%s loses power; its last commit had reached the disk", node->name);
		disk_lose(&node->disk, SIZE_MAX, &watch);
	} else {
		world_say(world, "%s loses power%s", node->name,
			waits ? "; its last commit is lost" : "");
		disk_lose(&node->disk, 0, &watch);
	}
	post_crash(world, node);
	submit_crashed(world, node);
	engine_free(node->engine);
	node->engine = NULL;
	node->life++;
	links_crashed(world, node);
	queue_plan(world, 100 + world_random(world, 20000), ITEM_RESTART, node);
}

/* How this commit ends. */
static enum err refusal(struct world *world, struct node *node)
{
	struct disk_fault *fault = &node->fault;
	enum err err = fault->error;

	if (node->disk.broken)
		return ERR_IO;
	if (world->faults && world_chance(world, 20))
		return ERR_FULL;
	if (err == OK || fault->misreports)
		return OK;
	if (fault->after > 0) {
		fault->after--;
		return OK;
	}
	if (fault->count > 0 && --fault->count == 0)
		fault->error = OK;
	return err;
}

/* It is on the disk, and nobody is told; only a new start finds out. */
static void misreport(struct world *world, struct node *node, struct store_write *list)
{
	world_say(world, "%s: its guard cannot follow a commit", node->name);
	world->counts.disk_errors++;
	node->fault = (struct disk_fault){.error = OK};
	node->disk.broken = true;
	for (; list != NULL; list = list->next)
		list->result = ERR_IO;
	queue_plan(world, 1000 + world_random(world, 60000), ITEM_CRASH, node);
}

/* All entries of its own log that it ever signed are there again. */
static void recover(struct world *world, struct node *node)
{
	world_say(world, "%s: all entries of its log are back", node->name);
	for (size_t i = 0; i < node->guard.record.log_count; i++)
		node_step(world, node,
			&(struct event){
				.type = EVENT_OWN, .origin = &node->guard.record.logs[i].origin});
	unlock(world, node);
}

void node_commit(struct world *world, struct node *node)
{
	struct durable durable = {world, node};
	struct disk_watch watch = {on_durable, &durable};
	enum err refused = refusal(world, node);
	bool misreports = refused == OK && node->fault.misreports && node->fault.after-- == 0;
	struct store_write *list;

	if (refused != OK) {
		world->counts.disk_errors++;
		world_say(
			world, "%s: the disk refuses a commit: %s", node->name, err_text(refused));
	}
	list = disk_sync(&node->disk, refused, &watch);
	if (misreports)
		misreport(world, node, list);
	else if (refused == OK)
		guard_committed(world, node);
	while (list != NULL) {
		struct store_write *next = list->next;

		list->next = NULL;
		node_step(world, node, &(struct event){.type = EVENT_WRITTEN, .write = list});
		list = next;
	}
	if (!misreports && refused == OK && guard_recovered(world, node))
		recover(world, node);
}

/* No disk here spoils what it has. */
void node_verified(struct world *world, const struct item *item)
{
	node_step(world, item->node,
		&(struct event){.type = EVENT_VERIFIED, .origin = &item->read.origin});
}

void node_read_done(struct world *world, const struct item *item)
{
	struct event event = {.type = EVENT_READ, .ticket = item->read.ticket};
	struct store_read read = item->read;
	/* A store may give less than the caps allow: streams of many batches. */
	size_t some = world->shape.small_reads ? 1 + world_random(world, 4) : read.count_max;

	if (some < read.count_max)
		read.count_max = some;
	if (disk_read(&item->node->disk, &read, &event.batch) != OK) {
		world_fail(world, "%s reads entries %llu to %llu of %s, which it has not",
			item->node->name, (unsigned long long)read.first,
			(unsigned long long)read.target, read.origin.text);
		return;
	}
	node_step(world, item->node, &event);
}

void node_sign_done(struct world *world, const struct item *item)
{
	struct event event = {.type = EVENT_SIGNED, .origin = &item->origin};
	bool directory = strcmp(item->origin.text, world->directory.text) == 0;

	event.error = signer_sign(directory ? world->directory_key : item->node->keys.log,
		buf_bytes(&item->data), &event.signature);
	node_step(world, item->node, &event);
}

void node_cosign_done(struct world *world, const struct item *item)
{
	struct event event = {
		.type = EVENT_COSIGNED, .origin = &item->origin, .witness = item->witness};
	const struct keys *keys = &item->node->keys;
	char name[NOTE_KEY_NAME_MAX + 1];
	struct buf line;

	buf_init(&line, LIMIT_NOTE_SIZE);
	snprintf(name, sizeof(name), "sim.example/%s/%s", item->witness ? "witness" : "mirror",
		item->node->name);
	event.error = cosignature_sign(&line, buf_bytes(&item->data), node_clock(world, item->node),
		name, item->witness ? keys->witness : keys->mirror);
	event.line = buf_bytes(&line);
	node_step(world, item->node, &event);
	buf_release(&line);
}

void node_image(struct node *node)
{
	disk_release(&node->image);
	disk_copy(&node->disk, &node->image);
	node->imaged = true;
}

/* Somebody else keeps all that this node has of a log. */
static bool is_elsewhere(struct world *world, const struct node *node, const struct disk_log *own)
{
	for (size_t i = 0; i < world->node_count; i++) {
		struct node *other = &world->nodes[i];
		const struct disk_log *log =
			other == node ? NULL : disk_find(&other->disk, &own->origin);

		/* Who joins late with a record that headquarters lost is let in by nobody. */
		if (log != NULL && log->size >= own->size && other != world->hostile &&
			!(world->shape.late && i + 1 == world->shape.nodes))
			return true;
	}
	return false;
}

static bool all_is_elsewhere(struct world *world, const struct node *node)
{
	for (size_t i = 0; i < node->disk.log_count; i++)
		if (!is_elsewhere(world, node, node->disk.logs[i]))
			return false;
	return true;
}

bool node_restore(struct world *world, struct node *node)
{
	if (!node->imaged || node->engine != NULL || !all_is_elsewhere(world, node))
		return false;
	disk_release(&node->disk);
	node->disk = node->image;
	node->image = (struct disk){0};
	node->imaged = false;
	world->counts.restores++;
	world_say(world, "%s: an old copy of its disk is put back", node->name);
	check_restored(world, node);
	return true;
}
