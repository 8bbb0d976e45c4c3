#include "tests/sim/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/alloc.h"

enum {
	WORK_MS = 150 * 1000, /* appends and faults happen before this */
	/* Everything has converged by then: a link found silent, then a cosignature over five hops,
	 * each of which may wait for five minutes. */
	END_MS = 2100 * 1000,
	LOOK_MS = 5 * 1000, /* how often it is asked whether it has */
};

enum item_type {
	ITEM_TICK,
	ITEM_DIALLED,
	ITEM_DELIVER,
	ITEM_SENT,
	ITEM_HANGUP,
	ITEM_COMMIT,
	ITEM_READ,
	ITEM_SIGN,
	ITEM_COSIGN,
	ITEM_OPEN,
	ITEM_APPEND,
	ITEM_FAULT,
	ITEM_RESTART,
	ITEM_ADMIT,
	ITEM_LOOK,
};

struct item {
	uint64_t time, number;
	enum item_type type;
	struct node *node, *peer;
	uint64_t life;
	struct session_id session;
	struct buf data; /* a frame, a checkpoint text */
	struct store_read read;
	struct origin origin;
};

struct event_queue {
	struct item **heap;
	size_t count, capacity;
	uint64_t next_number;
};

struct link_end {
	struct node *node;
	struct session_id session;
	bool open;   /* its engine has not been told that it ended */
	bool closed; /* its engine closed it */
	uint64_t life;
	uint64_t free_at; /* when the last message sent from here has arrived */
	struct stream streams[LOGS_MAX];
};
struct link {
	struct link_end end[2]; /* 0 dialled */
	bool dead, silent;      /* cut; cut without telling anybody */
	bool duplicate;         /* an end closed it for another connection of the pair */
	uint64_t latency_ms, bytes_per_ms;
	struct link *next;
};

uint64_t world_random(struct world *world, uint64_t below)
{
	uint64_t z = world->random += 0x9e3779b97f4a7c15u; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return below == 0 ? 0 : (z ^ z >> 31) % below;
}

static bool chance(struct world *world, unsigned per_mille)
{
	return world_random(world, 1000) < per_mille;
}

void world_say(const struct world *world, const char *format, ...)
{
	va_list args;

	if (!world->trace)
		return;
	printf("%8.3f s  ", (double)world->now_ms / 1000);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void world_fail(struct world *world, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	world_say(world, "WRONG: %s", text);
	if (world->failure == NULL)
		world->failure = mem_strdup(text);
}

/* The queue: a binary heap by (time, number). */

static bool before(const struct item *a, const struct item *b)
{
	return a->time != b->time ? a->time < b->time : a->number < b->number;
}

static void swap(struct item **a, struct item **b)
{
	struct item *t = *a;

	*a = *b;
	*b = t;
}

static struct item *plan(
	struct world *world, uint64_t delay_ms, enum item_type type, struct node *node)
{
	struct event_queue *q = world->queue;
	struct item *item = mem_zalloc(sizeof(*item));

	if (q->count == q->capacity) {
		q->capacity = q->capacity == 0 ? 64 : 2 * q->capacity;
		q->heap = mem_resize(q->heap, q->capacity * sizeof(*q->heap));
	}
	assert(item != NULL && q->heap != NULL);
	item->time = world->now_ms + delay_ms;
	item->number = q->next_number++;
	item->type = type;
	item->node = node;
	item->life = node == NULL ? 0 : node->life;
	buf_init(&item->data, LIMIT_FRAME_SIZE + 4);
	q->heap[q->count] = item;
	for (size_t i = q->count++; i > 0 && before(q->heap[i], q->heap[(i - 1) / 2]);
		i = (i - 1) / 2)
		swap(&q->heap[i], &q->heap[(i - 1) / 2]);
	return item;
}

static struct item *next_item(struct event_queue *q)
{
	struct item *top;

	if (q->count == 0)
		return NULL;
	top = q->heap[0];
	q->heap[0] = q->heap[--q->count];
	for (size_t i = 0;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
			if (child < q->count && before(q->heap[child], q->heap[least]))
				least = child;
		if (least == i)
			return top;
		swap(&q->heap[i], &q->heap[least]);
		i = least;
	}
}

static void item_free(struct item *item)
{
	buf_release(&item->data);
	mem_free(item);
}

/* Keys and the directory: made from the seed, so that a run repeats to the byte. */

static struct signer *make_signer(struct world *world)
{
	uint8_t seed[ED25519_SEED_SIZE];
	struct signer *signer;

	for (size_t i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)world_random(world, 256);
	enum err err = signer_new(bytes_make(seed, sizeof(seed)), &signer);

	assert(err == OK);
	return signer;
}

static void make_origin(struct world *world, const char *name, struct origin *ret)
{
	uint8_t random[8];

	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)world_random(world, 256);
	enum err err = origin_make(bytes_str("sim.example"), bytes_str(name), 1, random, ret);

	assert(err == OK);
}

static void make_keys(struct world *world, struct node *node)
{
	static const char *const names[NODES_MAX] = {"hq", "caf", "cod", "hti", "ssd", "audit"};
	struct keys *keys = &node->keys;
	struct signer *witness;

	snprintf(node->name, sizeof(node->name), "%s", names[node->number]);
	keys->node = make_signer(world);
	keys->log = make_signer(world);
	keys->mirror = make_signer(world);
	witness = make_signer(world);
	make_origin(world, node->name, &keys->origin);
	struct member *m = &keys->member;

	snprintf(m->name, sizeof(m->name), "%s", node->name);
	m->role = node->number == 0 ? ROLE_HQ : ROLE_OFFICE;
	snprintf(m->country, sizeof(m->country), "%s", node->number == 0 ? "" : "ZZA");
	m->country[2] = node->number == 0 ? '\0' : (char)('A' + node->number);
	m->node = *signer_public(keys->node);
	m->mirror = *signer_public(keys->mirror);
	m->witness = *signer_public(witness);
	for (size_t i = 0; i < HASH_SIZE; i++) {
		m->tls_spki.b[i] = (uint8_t)world_random(world, 256);
		m->complaint.b[i] = (uint8_t)world_random(world, 256);
	}
	signer_free(witness);
}

static void admitted_entry(const struct node *node, struct buf *out)
{
	struct buf body;
	struct ed25519_signature signature;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	enum err err = node_admitted_body(&body, "sim.example", &node->keys.member);

	assert(err == OK);
	err = node_sign(node->keys.node, PURPOSE_NODE_ADMITTED, buf_bytes(&body), &signature);
	assert(err == OK);
	err = record_write_signed(out, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, buf_bytes(&body),
		BYTES_ARRAY(signature.b));
	assert(err == OK);
	buf_release(&body);
}

static void log_opened_entry(const struct node *node, const struct origin *origin,
	const struct signer *log, struct buf *out)
{
	struct log_opened opened = {.origin = origin->text,
		.previous_origin = "",
		.log_key = *signer_public(log),
		.opened_at = 1};
	enum err err = log_opened_write(out, &opened, node->keys.node);

	assert(err == OK);
}

/* One durable write of a whole directory onto a disk: what init and join leave behind. */
static void genesis(struct world *world)
{
	struct buf entry[NODES_MAX + 2];
	struct bytes list[NODES_MAX + 2];
	size_t count = 0;
	struct node *hq = &world->nodes[0];
	struct store_write *write = store_write_new(&world->directory);
	struct network_created created = {.network = "sim.example",
		.hq = "hq",
		.hq_node = hq->keys.member.node,
		.created_at = 1};
	struct compact compact;
	struct checkpoint checkpoint = {.origin = world->directory};

	for (size_t i = 0; i < NODES_MAX + 2; i++)
		buf_init(&entry[i], LIMIT_ENTRY_SIZE);
	log_opened_entry(hq, &world->directory, world->directory_key, &entry[count++]);
	enum err err = network_created_write(&entry[count++], &created, hq->keys.node);

	assert(err == OK && write != NULL);
	for (size_t i = 0; i < world->node_count; i++)
		if (world->nodes[i].admitted)
			admitted_entry(&world->nodes[i], &entry[count++]);
	for (size_t i = 0; i < count; i++)
		list[i] = buf_bytes(&entry[i]);
	err = entries_make(list, count, &write->entries);
	assert(err == OK);
	compact_init(&compact);
	for (size_t i = 0; i < count; i++)
		compact_append(&compact, &write->entries->leaf[i]);
	checkpoint.size = count;
	compact_root(&compact, &checkpoint.root);
	err = checkpoint_sign(&write->checkpoint, &checkpoint, world->directory_key);
	assert(err == OK);
	for (size_t i = 0; i < world->node_count; i++)
		if (world->nodes[i].admitted) {
			check_durable(world, &world->nodes[i], write);
			err = disk_apply(&world->nodes[i].disk, write);
			assert(err == OK);
		}
	store_write_free(write);
	for (size_t i = 0; i < NODES_MAX + 2; i++)
		buf_release(&entry[i]);
}

/* Effects. */

static void step(struct world *world, struct node *node, struct event *event);

static struct link *link_of(struct world *world, struct session_id id, size_t *ret_side)
{
	for (struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++)
			if (l->end[side].session.value == id.value) {
				*ret_side = side;
				return l;
			}
	return NULL;
}

/* What the checkers look at. */

struct stream *world_streams(struct world *world, struct session_id session)
{
	size_t side;
	struct link *link = link_of(world, session, &side);

	return link == NULL ? NULL : link->end[side].streams;
}

static bool is_up(const struct link_end *end)
{
	return end->open && end->node->engine != NULL && end->life == end->node->life;
}

bool world_asked_elsewhere(
	struct world *world, const struct node *node, struct session_id session, size_t log)
{
	for (struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++) {
			const struct link_end *end = &l->end[side];

			if (end->node == node && is_up(end) &&
				end->session.value != session.value && end->streams[log].asked)
				return true;
		}
	return false;
}

static bool joins(const struct link *link, const struct node *a, const struct node *b)
{
	return (link->end[0].node == a && link->end[1].node == b) ||
	       (link->end[0].node == b && link->end[1].node == a);
}

void world_closing(struct world *world, struct session_id session, bool duplicate)
{
	size_t side;
	struct link *link = link_of(world, session, &side);
	bool other = false;

	if (link == NULL)
		return;
	link->end[side].closed = true;
	for (size_t i = 0; i < LOGS_MAX; i++)
		link->end[side].streams[i].asked = false;
	if (!duplicate)
		return;
	link->duplicate = true;
	for (struct link *l = world->links; l != NULL; l = l->next)
		other |= l != link && !l->duplicate &&
			 joins(l, link->end[0].node, link->end[1].node) &&
			 (is_up(&l->end[0]) || is_up(&l->end[1]));
	if (!other)
		world_fail(world, "%s and %s give up their last connection as a duplicate",
			link->end[side].node->name, link->end[1 - side].node->name);
}

bool world_closed(struct world *world, struct session_id session)
{
	size_t side;
	const struct link *link = link_of(world, session, &side);

	return link == NULL || link->end[side].closed;
}

unsigned world_connections(const struct world *world, const struct node *a, const struct node *b)
{
	unsigned count = 0;

	for (const struct link *l = world->links; l != NULL; l = l->next)
		count += !l->dead && joins(l, a, b) && is_up(&l->end[0]) && is_up(&l->end[1]);
	return count;
}

bool world_reaches(const struct world *world, const struct node *a, const char *peer)
{
	for (const struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++)
			if (l->end[side].node == a && !l->dead &&
				strcmp(l->end[1 - side].node->name, peer) == 0 &&
				is_up(&l->end[0]) && is_up(&l->end[1]))
				return true;
	return false;
}

static void hang_up(struct world *world, struct link_end *end, uint64_t delay_ms)
{
	struct item *item = plan(world, delay_ms, ITEM_HANGUP, end->node);

	item->session = end->session;
	item->life = end->life;
}

static void corrupt(struct world *world, struct buf *frame)
{
	size_t at = 4 + world_random(world, frame->size - 4);

	frame->data[at] ^= (uint8_t)(1u << world_random(world, 8));
	world->corrupted++;
}

static void do_send(struct world *world, struct node *node, struct effect *effect)
{
	size_t side;
	struct link *link = link_of(world, effect->session, &side);
	struct item *item;
	uint64_t arrive;

	if (link == NULL)
		return;
	struct link_end *from = &link->end[side], *to = &link->end[1 - side];
	uint64_t size = effect->frame.size;

	arrive = world->now_ms + link->latency_ms;
	arrive = (arrive > from->free_at ? arrive : from->free_at) + size / link->bytes_per_ms;
	from->free_at = arrive;
	item = plan(world, arrive - world->now_ms - link->latency_ms / 2, ITEM_SENT, node);
	item->session = from->session;
	item->read.size_max = size;
	item = plan(world, arrive - world->now_ms, ITEM_DELIVER, to->node);
	item->life = to->life;
	item->session = to->session;
	item->data = effect->frame;
	buf_init(&effect->frame, 0);
	if (node == world->hostile && (world->faults || world->mute))
		hostile_tamper(world, node, &item->data);
	if (item->data.size > 0 && world->faults && world->seed % 4 == 0 && chance(world, 3))
		corrupt(world, &item->data);
	world->frames++;
}

static void do_dial(struct world *world, struct node *node, const struct effect *effect)
{
	struct item *item = plan(world, 5 + world_random(world, 1500), ITEM_DIALLED, node);

	for (size_t i = 0; i < world->node_count; i++)
		if (strcmp(world->nodes[i].name, effect->peer) == 0)
			item->peer = &world->nodes[i];
}

static void do_close(struct world *world, const struct effect *effect)
{
	size_t side;
	struct link *link = link_of(world, effect->session, &side);

	if (link == NULL)
		return;
	struct link_end *from = &link->end[side], *to = &link->end[1 - side];

	hang_up(world, from, 1);
	if (!link->silent)
		hang_up(world, to,
			(from->free_at > world->now_ms ? from->free_at - world->now_ms : 0) +
				link->latency_ms + 1);
}

static void do_write(struct world *world, struct node *node, struct effect *effect)
{
	if (node->disk.queue == NULL)
		plan(world, 2 + world_random(world, 40), ITEM_COMMIT, node);
	disk_submit(&node->disk, effect->write);
	effect->write = NULL;
}

static void do_sign(
	struct world *world, struct node *node, struct effect *effect, enum item_type type)
{
	struct item *item = plan(world, world_random(world, 3), type, node);

	item->origin = effect->origin;
	item->data = effect->body;
	buf_init(&effect->body, 0);
}

static void perform(struct world *world, struct node *node, struct effect *effect)
{
	check_effect(world, node, effect);
	switch (effect->type) {
	case EFFECT_DIAL:
		do_dial(world, node, effect);
		break;
	case EFFECT_SEND:
		do_send(world, node, effect);
		break;
	case EFFECT_CLOSE:
		do_close(world, effect);
		break;
	case EFFECT_WRITE:
		do_write(world, node, effect);
		break;
	case EFFECT_READ:
		plan(world, 1 + world_random(world, 10), ITEM_READ, node)->read = effect->read;
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
				plan(world, 1000, ITEM_OPEN, node);
		}
		break;
	case EFFECT_HELD:
		world_say(world, "%s: '%s' holds %llu entries of %s", node->name, effect->peer,
			(unsigned long long)effect->index, effect->origin.text);
		break;
	case EFFECT_MEMBERS:
	case EFFECT_FORKED: /* a notice says it too */
		break;
	case EFFECT_NOTICE:
		world_say(world, "%s: %s", node->name, effect->text);
		break;
	}
}

static void plan_tick(struct world *world, struct node *node)
{
	uint64_t due = engine_deadline(node->engine);

	if (due == UINT64_MAX || due >= node->tick_at)
		return;
	node->tick_at = due > world->now_ms ? due : world->now_ms + 1;
	plan(world, node->tick_at - world->now_ms, ITEM_TICK, node);
}

static void step(struct world *world, struct node *node, struct event *event)
{
	struct effects effects = {0};

	event->now_ms = world->now_ms;
	event->wall_s = 1700000000 + world->now_ms / 1000 + 1000 * node->number;
	enum err err = engine_step(node->engine, event, &effects);

	assert(err == OK);
	world->steps++;
	for (size_t i = 0; i < effects.count; i++)
		perform(world, node, &effects.list[i]);
	effects_release(&effects);
	plan_tick(world, node);
}

/* Nodes come and go. */

static bool dials(const struct world *world, size_t from, size_t to)
{
	switch (world->seed % 3) {
	case 0: /* a star: offices reach headquarters alone */
		return to == 0;
	case 1: /* a line, with relays between the ends */
		return to + 1 == from;
	default: /* everybody dials everybody */
		return true;
	}
}

static void load_disk(struct world *world, struct node *node)
{
	for (size_t i = 0; i < node->disk.log_count; i++) {
		struct log_head head;

		disk_head(&node->disk.logs[i], &head);
		step(world, node, &(struct event){.type = EVENT_LOG_LOADED, .head = &head});
		log_head_release(&head);
	}
	struct disk_log *directory = disk_find(&node->disk, &world->directory);

	for (size_t i = 0; i < directory->size; i++)
		step(world, node,
			&(struct event){
				.type = EVENT_DIRECTORY_LOADED, .entry = disk_entry(directory, i)});
}

static void ask_append(struct world *world, struct node *node, const struct origin *origin,
	struct buf *list, size_t count)
{
	struct bytes views[8];
	struct event event = {.type = EVENT_APPEND, .origin = origin};

	for (size_t i = 0; i < count; i++)
		views[i] = buf_bytes(&list[i]);
	enum err err = entries_make(views, count, &event.entries);

	assert(err == OK);
	event.ticket = world->next_ticket++;
	check_asked(world, node, event.ticket, origin, event.entries);
	step(world, node, &event);
}

/* As a node does after unlock: the log begins with its LogOpened. */
static void open_log(struct world *world, struct node *node)
{
	struct buf opened;

	if (disk_find(&node->disk, &node->keys.origin) != NULL)
		return;
	buf_init(&opened, LIMIT_ENTRY_SIZE);
	log_opened_entry(node, &node->keys.origin, node->keys.log, &opened);
	ask_append(world, node, &node->keys.origin, &opened, 1);
	buf_release(&opened);
}

static void unlock(struct world *world, struct node *node)
{

	step(world, node,
		&(struct event){.type = EVENT_UNLOCKED,
			.origin = &node->keys.origin,
			.key = signer_public(node->keys.log)});
	if (node->number == 0)
		step(world, node,
			&(struct event){.type = EVENT_UNLOCKED,
				.origin = &world->directory,
				.key = signer_public(world->directory_key)});
	open_log(world, node);
}

static void boot(struct world *world, struct node *node)
{
	struct engine_opts opts = {
		.network = "sim.example",
		.node = node->name,
		.directory = world->directory,
		.directory_key = *signer_public(world->directory_key),
		.directory_own = node->number == 0,
		.timing = engine_timing_default,
		.seed = world_random(world, UINT64_MAX),
	};

	opts.timing.dial_max = 20 * 1000;
	if (world->seed % 2 == 0)
		opts.timing.cosigned_delay = 10 * 1000;
	node->life++;
	node->tick_at = UINT64_MAX;
	enum err err = engine_new(&opts, &node->engine);

	assert(err == OK);
	load_disk(world, node);
	check_restarted(world, node);
	for (size_t i = 0; i < world->node_count; i++)
		if (i != node->number && dials(world, node->number, i))
			step(world, node,
				&(struct event){.type = EVENT_PEER, .peer = world->nodes[i].name});
	step(world, node, &(struct event){.type = EVENT_START});
	unlock(world, node);
}

static void commit(struct world *world, struct node *node);

struct durable {
	struct world *world;
	struct node *node;
};

static void on_durable(void *arg, const struct store_write *write)
{
	struct durable *durable = arg;

	check_durable(durable->world, durable->node, write);
}

static void crash(struct world *world, struct node *node)
{
	struct durable durable = {world, node};
	struct disk_watch watch = {on_durable, &durable};
	bool waits = node->disk.queue != NULL;

	world->crashes++;
	/* Power went while the disk was syncing: it got through, or it did not. */
	if (waits && chance(world, 500)) {
		world_say(
			world, "%s loses power; its last commit had reached the disk", node->name);
		disk_lose(&node->disk, SIZE_MAX, &watch);
	} else {
		world_say(world, "%s loses power%s", node->name,
			waits ? "; its last commit is lost" : "");
		disk_lose(&node->disk, 0, &watch);
	}
	engine_free(node->engine);
	node->engine = NULL;
	node->life++;
	for (struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++)
			if (l->end[side].node == node && !l->dead) {
				l->dead = true;
				hang_up(world, &l->end[1 - side], 10 + world_random(world, 2000));
			}
	plan(world, 100 + world_random(world, 20000), ITEM_RESTART, node);
}

static void kill_link(struct world *world, struct link *link)
{
	link->dead = true;
	if (chance(world, 300)) {
		link->silent = true; /* nobody is told: silence has to be noticed */
		return;
	}
	for (size_t side = 0; side < 2; side++)
		hang_up(world, &link->end[side], world_random(world, 3000));
}

static void cut_links(struct world *world, const struct node *a, const struct node *b)
{
	for (struct link *l = world->links; l != NULL; l = l->next)
		if (!l->dead && ((l->end[0].node == a && l->end[1].node == b) ||
					(l->end[0].node == b && l->end[1].node == a)))
			kill_link(world, l);
}

static void fault(struct world *world)
{
	struct node *a = &world->nodes[world_random(world, world->node_count)];
	struct node *b = &world->nodes[world_random(world, world->node_count)];
	bool *cut = &world->cut[a->number][b->number];

	switch (world_random(world, 3)) {
	case 0:
		if (a->engine != NULL)
			crash(world, a);
		break;
	case 1:
		if (a == b)
			break;
		world->cuts++;
		world_say(world, "the connections between %s and %s are cut", a->name, b->name);
		cut_links(world, a, b);
		break;
	default:
		if (a == b)
			break;
		*cut = !*cut;
		world->cut[b->number][a->number] = *cut;
		world_say(world, "%s and %s %s each other", a->name, b->name,
			*cut ? "cannot reach" : "reach");
		if (*cut)
			cut_links(world, a, b);
		break;
	}
	if (world->now_ms < WORK_MS)
		plan(world, 500 + world_random(world, 15000), ITEM_FAULT, NULL);
}

static void stop_faults(struct world *world)
{
	world_say(world, "from now on nothing breaks");
	world->faults = false;
	memset(world->cut, 0, sizeof(world->cut));
	/* A connection on which bytes were changed or swallowed may hang: no honest node would be
	 * on it, and who was hostile is honest from now on, or mute for ever. */
	for (struct link *l = world->links; l != NULL; l = l->next) {
		bool tampered =
			l->end[0].node == world->hostile || l->end[1].node == world->hostile;

		if (l->dead || (world->corrupted == 0 && (!tampered || world->mute)))
			continue;
		l->dead = true;
		hang_up(world, &l->end[0], 1);
		hang_up(world, &l->end[1], 1);
	}
}

/* Items. */

static bool lists(const struct node *node, const struct node *other)
{
	const struct member *m =
		directory_find(engine_directory(node->engine), bytes_str(other->name));

	return m != NULL && m->active;
}

static void dialled(struct world *world, struct node *node, struct node *peer)
{
	struct link *link;

	if (peer->engine == NULL || world->cut[node->number][peer->number] || !lists(peer, node) ||
		!lists(node, peer) || chance(world, world->faults ? 50 : 0)) {
		step(world, node, &(struct event){.type = EVENT_DIAL_FAILED, .peer = peer->name});
		return;
	}
	link = mem_zalloc(sizeof(*link));
	assert(link != NULL);
	link->latency_ms = 1 + world_random(world, world->seed % 5 == 0 ? 900 : 60);
	link->bytes_per_ms = world->seed % 5 == 0 ? 16 : 2000;
	for (size_t side = 0; side < 2; side++) {
		struct node *n = side == 0 ? node : peer;

		link->end[side] = (struct link_end){.node = n,
			.session = {++world->next_session},
			.open = true,
			.life = n->life};
	}
	link->next = world->links;
	world->links = link;
	for (size_t side = 0; side < 2; side++)
		step(world, link->end[side].node,
			&(struct event){.type = EVENT_CONNECTED,
				.session = link->end[side].session,
				.peer = link->end[1 - side].node->name,
				.outgoing = side == 0});
}

static void hung_up(struct world *world, const struct item *item)
{
	size_t side;
	struct link *link = link_of(world, item->session, &side);

	if (link == NULL || !link->end[side].open)
		return;
	link->dead = true;
	link->end[side].open = false;
	step(world, item->node,
		&(struct event){.type = EVENT_DISCONNECTED, .session = item->session});
}

static void deliver(struct world *world, const struct item *item)
{
	size_t side;
	struct link *link = link_of(world, item->session, &side);

	if (link == NULL || link->dead || !link->end[side].open || item->data.size == 0)
		return;
	check_heard(world, item->node, item->session,
		bytes_make(item->data.data + 4, item->data.size - 4));
	step(world, item->node,
		&(struct event){.type = EVENT_FRAME,
			.session = item->session,
			.frame = bytes_make(item->data.data + 4, item->data.size - 4)});
	check_after(world, item->node);
}

static void commit(struct world *world, struct node *node)
{
	struct durable durable = {world, node};
	struct disk_watch watch = {on_durable, &durable};
	bool fails = world->faults && chance(world, 20);
	struct store_write *list;

	if (fails)
		world_say(world, "%s: the disk refuses a commit", node->name);
	list = disk_sync(&node->disk, fails ? ERR_FULL : OK, &watch);
	while (list != NULL) {
		struct store_write *next = list->next;

		list->next = NULL;
		step(world, node, &(struct event){.type = EVENT_WRITTEN, .write = list});
		list = next;
	}
}

static void read_done(struct world *world, const struct item *item)
{
	struct event event = {.type = EVENT_READ, .ticket = item->read.ticket};
	struct store_read read = item->read;
	/* A store may give less than the caps allow: streams of many batches. */
	if (world->seed % 6 == 5)
		read.count_max = 1 + world_random(world, 4);
	if (disk_read(&item->node->disk, &read, &event.batch) != OK) {
		world_fail(world, "%s reads entries %llu to %llu of %s, which it has not",
			item->node->name, (unsigned long long)read.first,
			(unsigned long long)read.target, read.origin.text);
		return;
	}
	step(world, item->node, &event);
}

static void sign_done(struct world *world, const struct item *item)
{
	struct event event = {.type = EVENT_SIGNED, .origin = &item->origin};
	bool directory = strcmp(item->origin.text, world->directory.text) == 0;

	event.error = signer_sign(directory ? world->directory_key : item->node->keys.log,
		buf_bytes(&item->data), &event.signature);
	step(world, item->node, &event);
}

static void cosign_done(struct world *world, const struct item *item)
{
	struct event event = {.type = EVENT_COSIGNED, .origin = &item->origin};
	char name[NOTE_KEY_NAME_MAX + 1];
	struct buf line;

	buf_init(&line, LIMIT_NOTE_SIZE);
	snprintf(name, sizeof(name), "sim.example/mirror/%s", item->node->name);
	event.error = cosignature_sign(&line, buf_bytes(&item->data),
		1700000000 + world->now_ms / 1000, name, item->node->keys.mirror);
	event.line = buf_bytes(&line);
	step(world, item->node, &event);
	buf_release(&line);
}

static void append(struct world *world, struct node *node)
{
	struct buf list[8];
	size_t count = 1 + world_random(world, 8);

	if (node->engine != NULL) {
		for (size_t i = 0; i < count; i++) {
			buf_init(&list[i], LIMIT_ENTRY_SIZE);
			/* now and then one so large that a batch holds few of them */
			size_t size = 1 + world_random(world, chance(world, 30) ? 60000 : 700);

			buf_printf(&list[i], "%s %llu ", node->name,
				(unsigned long long)node->appends++);
			buf_put_zeros(&list[i], size);
		}
		world_say(world, "%s: asked to append %zu entries as %llu", node->name, count,
			(unsigned long long)world->next_ticket);
		ask_append(world, node, &node->keys.origin, list, count);
		for (size_t i = 0; i < count; i++)
			buf_release(&list[i]);
	}
	if (world->now_ms < WORK_MS)
		plan(world, world_random(world, chance(world, 500) ? 50 : 20000), ITEM_APPEND,
			node);
}

/* A node that joins late: headquarters admits it, and what join leaves behind is on its disk. */
static void admit(struct world *world, struct node *node)
{
	struct node *hq = &world->nodes[0];
	struct disk_log *directory = disk_find(&hq->disk, &world->directory);
	struct buf entry;

	if (node->admitted) {
		const struct member *m =
			directory_find(engine_directory(hq->engine), bytes_str(node->name));
		struct store_write *write = store_write_new(&world->directory);
		struct bytes list[64];

		if (m == NULL || write == NULL) {
			store_write_free(write);
			node->admitted = false;
			plan(world, 1000, ITEM_ADMIT, node);
			return;
		}
		for (size_t i = 0; i < directory->size; i++)
			list[i] = disk_entry(directory, i);
		enum err err = entries_make(list, directory->size, &write->entries);

		assert(err == OK && directory->size <= 64);
		buf_put(&write->checkpoint, buf_bytes(&directory->checkpoint));
		err = disk_apply(&node->disk, write);
		assert(err == OK);
		store_write_free(write);
		world_say(world, "%s joins", node->name);
		boot(world, node);
		plan(world, 100, ITEM_APPEND, node);
		return;
	}
	if (hq->engine != NULL) {
		buf_init(&entry, LIMIT_ENTRY_SIZE);
		admitted_entry(node, &entry);
		ask_append(world, hq, &world->directory, &entry, 1);
		buf_release(&entry);
		node->admitted = true;
	}
	plan(world, 3000, ITEM_ADMIT, node);
}

/* Is there anything that could still change? Asked often, once faults have stopped. */
static bool settled(struct world *world)
{
	bool was = world->trace;

	world->trace = false;
	char *failure = world->failure;

	world->failure = NULL;
	for (size_t i = 0; i < world->node_count; i++)
		if (world->nodes[i].engine == NULL)
			world_fail(world, "%s is down", world->nodes[i].name);
	if (world->failure == NULL)
		check_end(world);
	bool ok = world->failure == NULL;

	mem_free(world->failure);
	world->failure = failure;
	world->trace = was;
	return ok;
}

static bool current(const struct item *item)
{
	return item->node == NULL || item->node->life == item->life;
}

static void handle(struct world *world, struct item *item)
{
	struct node *node = item->node;

	switch (item->type) {
	case ITEM_APPEND:
		append(world, node);
		return;
	case ITEM_FAULT:
		fault(world);
		return;
	case ITEM_RESTART:
		world_say(world, "%s starts again", node->name);
		boot(world, node);
		return;
	case ITEM_ADMIT:
		if (node->engine == NULL && world->nodes[0].engine != NULL)
			admit(world, node);
		else if (node->engine == NULL)
			plan(world, 1000, ITEM_ADMIT, node);
		return;
	default:
		break;
	}
	if (!current(item) || (node != NULL && node->engine == NULL))
		return;
	switch (item->type) {
	case ITEM_TICK:
		node->tick_at = UINT64_MAX;
		step(world, node, &(struct event){.type = EVENT_TICK});
		break;
	case ITEM_OPEN:
		open_log(world, node);
		break;
	case ITEM_DIALLED:
		dialled(world, node, item->peer);
		break;
	case ITEM_DELIVER:
		deliver(world, item);
		break;
	case ITEM_SENT:
		step(world, node,
			&(struct event){.type = EVENT_SENT,
				.session = item->session,
				.size = item->read.size_max});
		break;
	case ITEM_HANGUP:
		hung_up(world, item);
		break;
	case ITEM_COMMIT:
		commit(world, node);
		break;
	case ITEM_READ:
		read_done(world, item);
		break;
	case ITEM_SIGN:
		sign_done(world, item);
		break;
	case ITEM_COSIGN:
		cosign_done(world, item);
		break;
	default:
		break;
	}
}

static void begin(struct world *world, uint64_t seed, bool trace)
{
	*world = (struct world){.seed = seed, .random = seed * 7919 + 1, .trace = trace};
	world->faults = true;
	world->queue = mem_zalloc(sizeof(*world->queue));
	world->check = check_new();
	assert(world->queue != NULL && world->check != NULL);
	world->node_count = 3 + world_random(world, NODES_MAX - 2);
	world->directory_key = make_signer(world);
	make_origin(world, "directory", &world->directory);
	for (size_t i = 0; i < world->node_count; i++) {
		world->nodes[i].number = i;
		make_keys(world, &world->nodes[i]);
		world->nodes[i].admitted = i == 0 || i + 1 < world->node_count || seed % 2 == 0;
	}
	if (seed % 7 == 3)
		world->hostile = &world->nodes[world_random(world, world->node_count)];
	world->forks = world->hostile != NULL && seed % 2 == 0;
	/* Where everybody reaches everybody else without it. */
	world->mute = world->hostile != NULL && seed % 3 == 2;
	genesis(world);
	for (size_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];

		if (node->admitted) {
			boot(world, node);
			plan(world, world_random(world, 5000), ITEM_APPEND, node);
		} else {
			plan(world, world_random(world, 60000), ITEM_ADMIT, node);
		}
	}
	plan(world, world_random(world, 10000), ITEM_FAULT, NULL);
	plan(world, LOOK_MS, ITEM_LOOK, NULL);
}

bool world_run(struct world *world, uint64_t seed, bool trace)
{
	struct item *item;
	bool done = false;

	begin(world, seed, trace);
	while (!done && world->failure == NULL && (item = next_item(world->queue)) != NULL) {
		world->now_ms = item->time;
		if (item->type == ITEM_LOOK) {
			if (world->now_ms >= WORK_MS + 20000 && world->faults)
				stop_faults(world);
			done = world->now_ms > END_MS || (!world->faults && settled(world));
			plan(world, LOOK_MS, ITEM_LOOK, NULL);
		} else {
			handle(world, item);
		}
		item_free(item);
	}
	if (world->failure == NULL)
		check_end(world);
	return world->failure == NULL;
}

void world_release(struct world *world)
{
	struct item *item;

	while ((item = next_item(world->queue)) != NULL)
		item_free(item);
	mem_free(world->queue->heap);
	mem_free(world->queue);
	while (world->links != NULL) {
		struct link *next = world->links->next;

		mem_free(world->links);
		world->links = next;
	}
	for (size_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];

		engine_free(node->engine);
		disk_release(&node->disk);
		signer_free(node->keys.node);
		signer_free(node->keys.log);
		signer_free(node->keys.mirror);
	}
	signer_free(world->directory_key);
	check_free(world->check);
	mem_free(world->failure);
}
