/*
 * What a hacked node says of its own accord, between what its engine says: garbage, logs that it
 * invents, floods, what it said before, cosignatures over trees that are not, evidence against
 * honest authors. Well formed enough to be looked at; nobody honest may be moved by any of it, but
 * for closing the session.
 */
#include <assert.h>

#include "base/alloc.h"
#include "proto/frame.h"
#include "replication/log/evidence.h"
#include "tests/sim/hostile.h"
#include "tests/sim/links.h"

enum { INVENTED = 64, PINGS = 30, FETCHES = 12 };

/* Somebody else's: a second checkpoint of its own log would be a fork, which hostile.c does. The
 * directory is there at any time. */
static const struct disk_log *any_log(struct world *world, struct node *node)
{
	const struct disk_log *log;

	do
		log = node->disk.logs[world_random(world, node->disk.log_count)];
	while (strcmp(log->origin.text, node->keys.origin.text) == 0);
	return log;
}

static void any_root(struct world *world, struct hash *ret)
{
	for (size_t i = 0; i < HASH_SIZE; i++)
		ret->b[i] = (uint8_t)world_random(world, 256);
}

static void say(struct world *world, struct link_end *from, Sauti__Frame *frame)
{
	struct buf buf;

	buf_init(&buf, LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE);
	frame_write(&buf, frame);
	assert(buf.err == OK);
	link_inject(world, from, &buf);
}

static void garbage(struct world *world, struct node *node, struct link_end *from)
{
	struct buf buf;
	uint64_t size = 1 + world_random(world, 400);

	buf_init(&buf, LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE);
	buf_put_u32be(&buf, (uint32_t)size);
	for (uint64_t i = 0; i < size; i++)
		buf_put_u8(&buf, (uint8_t)world_random(world, 256));
	assert(buf.err == OK);
	link_inject(world, from, &buf);
}

/* Logs that nobody has, of members and of nobody, each with a checkpoint under its own key. */
static void invented_logs(struct world *world, struct node *node, struct link_end *from)
{
	Sauti__LogState state[INVENTED], *list[INVENTED];
	struct origin origin[INVENTED];
	struct buf note[INVENTED];
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	for (size_t i = 0; i < INVENTED; i++) {
		struct checkpoint checkpoint = {.size = 1 + world_random(world, 1000)};
		const struct node *author = &world->nodes[world_random(world, world->shape.nodes)];
		uint8_t random[8];

		any_root(world, &checkpoint.root);
		memcpy(random, checkpoint.root.b, sizeof(random));
		enum err err = origin_make(bytes_str("sim.example"), bytes_str(author->name),
			2 + (uint32_t)world_random(world, 1000), random, &origin[i]);

		checkpoint.origin = origin[i];
		buf_init(&note[i], LIMIT_NOTE_SIZE);
		if (err == OK)
			err = checkpoint_sign(&note[i], &checkpoint, node->keys.log);
		assert(err == OK);
		sauti__log_state__init(&state[i]);
		state[i].origin = origin[i].text;
		state[i].size = checkpoint.size << world_random(world, 40);
		state[i].checkpoint = codec_binary(buf_bytes(&note[i]));
		list[i] = &state[i];
	}
	have.logs = list;
	have.n_logs = INVENTED;
	frame.body_case = SAUTI__FRAME__BODY_HAVE;
	frame.have = &have;
	say(world, from, &frame);
	for (size_t i = 0; i < INVENTED; i++)
		buf_release(&note[i]);
}

static void fetches(struct world *world, struct node *node, struct link_end *from)
{
	for (size_t i = 0; i < FETCHES; i++) {
		const struct disk_log *log = any_log(world, node);
		Sauti__Fetch fetch = SAUTI__FETCH__INIT;
		Sauti__Frame frame = SAUTI__FRAME__INIT;

		fetch.origin = (char *)log->origin.text;
		fetch.stream = (uint32_t)world_random(world, 1000);
		fetch.from = world_random(world, 2 * log->size + 1);
		fetch.window = (uint32_t)world_random(world, 40);
		frame.body_case = SAUTI__FRAME__BODY_FETCH;
		frame.fetch = &fetch;
		say(world, from, &frame);
	}
}

static void pings(struct world *world, struct node *node, struct link_end *from)
{
	for (size_t i = 0; i < PINGS; i++) {
		Sauti__Ping ping = SAUTI__PING__INIT;
		Sauti__Frame frame = SAUTI__FRAME__INIT;

		ping.token = world_random(world, 1000);
		frame.body_case = world_random(world, 2) == 0 ? SAUTI__FRAME__BODY_PING
							      : SAUTI__FRAME__BODY_PONG;
		if (frame.body_case == SAUTI__FRAME__BODY_PING)
			frame.ping = &ping;
		else
			frame.pong = &ping;
		say(world, from, &frame);
	}
}

/* "I hold it all", well signed, over a root that nobody has. */
static void false_held(struct world *world, struct node *node, struct link_end *from)
{
	struct checkpoint checkpoint = {
		.origin = any_log(world, node)->origin, .size = 1 + world_random(world, 300)};
	char name[NOTE_KEY_NAME_MAX + 1];
	Sauti__Cosigned item = SAUTI__COSIGNED__INIT;
	Sauti__Held held = SAUTI__HELD__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct buf text, line;

	any_root(world, &checkpoint.root);
	buf_init(&text, LIMIT_NOTE_SIZE);
	buf_init(&line, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	snprintf(name, sizeof(name), "sim.example/mirror/%s", node->name);
	enum err err =
		cosignature_sign(&line, buf_bytes(&text), 1700000000, name, node->keys.mirror);

	assert(err == OK);
	item.size = checkpoint.size;
	item.root = codec_binary(hash_bytes(&checkpoint.root));
	item.line = codec_binary(buf_bytes(&line));
	held.origin = checkpoint.origin.text;
	held.cosigned = &item;
	frame.body_case = SAUTI__FRAME__BODY_HELD;
	frame.held = &held;
	say(world, from, &frame);
	buf_release(&text);
	buf_release(&line);
}

/* Two checkpoints of somebody's log that contradict each other, both under its own key; now and
 * then one of them is the author's. */
static void false_evidence(struct world *world, struct node *node, struct link_end *from)
{
	const struct disk_log *log = any_log(world, node);
	struct checkpoint checkpoint = {.origin = log->origin, .size = 1 + world_random(world, 50)};
	Sauti__Evidence evidence = SAUTI__EVIDENCE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct buf note[2];
	enum err err = OK;

	for (size_t i = 0; i < 2; i++) {
		buf_init(&note[i], LIMIT_NOTE_SIZE);
		any_root(world, &checkpoint.root);
		checkpoint.root.b[0] = (uint8_t)i; /* the smaller one first */
		if (err == OK)
			err = checkpoint_sign(&note[i], &checkpoint, node->keys.log);
	}
	assert(err == OK);
	evidence.smaller = codec_binary(buf_bytes(&note[0]));
	evidence.larger = codec_binary(buf_bytes(&note[1]));
	if (log->size > 0 && world_random(world, 2) == 0)
		evidence.opened = codec_binary(disk_entry(log, 0));
	frame.body_case = SAUTI__FRAME__BODY_EVIDENCE;
	frame.evidence = &evidence;
	say(world, from, &frame);
	for (size_t i = 0; i < 2; i++)
		buf_release(&note[i]);
}

static void questions(struct world *world, struct node *node, struct link_end *from)
{
	const struct disk_log *log = any_log(world, node);
	struct checkpoint checkpoint = {
		.origin = log->origin, .size = 1 + world_random(world, log->size + 10)};
	Sauti__Prove prove = SAUTI__PROVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct buf note;

	any_root(world, &checkpoint.root);
	buf_init(&note, LIMIT_NOTE_SIZE);
	enum err err = checkpoint_sign(&note, &checkpoint, node->keys.log);

	assert(err == OK);
	prove.origin = checkpoint.origin.text;
	prove.checkpoint = codec_binary(
		world_random(world, 2) == 0 ? buf_bytes(&note) : buf_bytes(&log->checkpoint));
	frame.body_case = SAUTI__FRAME__BODY_PROVE;
	frame.prove = &prove;
	say(world, from, &frame);
	buf_release(&note);
}

/* What it said to somebody a while ago, said to this one. */
static void replay(struct world *world, struct node *node, struct link_end *from)
{
	struct buf copy;

	if (world->heard_once.size == 0)
		return;
	buf_init(&copy, LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE);
	buf_put(&copy, buf_bytes(&world->heard_once));
	assert(copy.err == OK);
	link_inject(world, from, &copy);
}

void hostile_intrude(
	struct world *world, struct node *node, struct link_end *from, const struct buf *said)
{
	static void (*const kinds[])(struct world *, struct node *, struct link_end *) = {garbage,
		invented_logs, fetches, pings, false_held, false_evidence, questions, replay,
		replay};

	if (world_random(world, 20) == 0) {
		buf_clear(&world->heard_once);
		buf_put(&world->heard_once, buf_bytes(said));
	}
	if (!world_chance(world, 40) || node->disk.log_count == 0)
		return;
	world->counts.forged++;
	kinds[world_random(world, sizeof(kinds) / sizeof(*kinds))](world, node, from);
}
