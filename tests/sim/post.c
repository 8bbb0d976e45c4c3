#include "tests/sim/post.h"

#include <assert.h>

#include "base/alloc.h"
#include "proto/frame.h"
#include "proto/stored.pb-c.h"
#include "tests/sim/nodes.h"

enum { LETTERS_MAX = 512, TAG_MAIL = 9 << 3 | 2, TAG_MAIL_ACK = 10 << 3 | 2 };

/* What is durable of an item at one node. */
struct row {
	struct hash item;
	struct buf body, state;
};

struct letter {
	struct hash item;
	struct node *sender, *recipient;
	uint64_t ticket;
	bool durable; /* its sender was told so */
	unsigned processed;
	uint64_t withdraw_ticket; /* 0: its sender does not take it back */
	bool withdrawn;           /* .. and was told that it is gone */
};

struct box {
	struct row *rows;
	size_t count, capacity;
	struct mail_write *queue, **end; /* not durable yet */
};

struct post {
	struct box boxes[NODES_MAX];
	struct letter letters[LETTERS_MAX];
	size_t letter_count;
	struct arena arena;
};

/* ---- stores ---- */

static struct box *box_of(struct world *world, const struct node *node)
{
	struct box *box = &world->post->boxes[node->number];

	if (box->end == NULL)
		box->end = &box->queue;
	return box;
}

static struct row *row_of(struct box *box, const struct hash *item)
{
	for (size_t i = 0; i < box->count; i++)
		if (hash_equal(&box->rows[i].item, item))
			return &box->rows[i];
	return NULL;
}

static struct row *row_make(struct box *box, const struct hash *item)
{
	struct row *row = row_of(box, item);

	if (row != NULL)
		return row;
	if (box->count == box->capacity) {
		box->capacity = box->capacity == 0 ? 16 : 2 * box->capacity;
		box->rows = mem_resize(box->rows, box->capacity * sizeof(*box->rows));
		assert(box->rows != NULL);
	}
	row = &box->rows[box->count++];
	*row = (struct row){.item = *item};
	buf_init(&row->body, LIMIT_MAIL_ITEM);
	buf_init(&row->state, 8192);
	return row;
}

static void replace(struct buf *to, const struct buf *from)
{
	if (from->size == 0)
		return;
	buf_clear(to);
	buf_put(to, buf_bytes(from));
	assert(to->err == OK);
}

static struct letter *letter_of(struct world *world, const struct hash *item)
{
	for (size_t i = 0; i < world->post->letter_count; i++)
		if (hash_equal(&world->post->letters[i].item, item))
			return &world->post->letters[i];
	return NULL;
}

static bool has_end(struct world *world, const struct row *row)
{
	Sauti__MailState *state;

	if (row->state.size == 0)
		return false;
	arena_clear(&world->post->arena);
	enum err err = CODEC_UNPACK(mail_state, buf_bytes(&row->state), &scan_limits_default,
		&world->post->arena, &state, NULL);

	assert(err == OK);
	return state->end.len > 0;
}

static void apply(struct world *world, const struct node *node, const struct mail_write *write)
{
	struct letter *letter = letter_of(world, &write->item);
	struct row *row = row_make(box_of(world, node), &write->item);

	if (letter == NULL) {
		world_fail(world, "%s stores a letter that nobody wrote", node->name);
		return;
	}
	if (letter->withdrawn && letter->sender == node && write->body.size > 0)
		world_fail(world, "%s stores again what it has taken back", node->name);
	if (write->inbox.size > 0 && (letter->recipient != node || ++letter->processed > 1))
		world_fail(world, "%s processes a letter of %s to %s, for the %u. time", node->name,
			letter->sender->name, letter->recipient->name, letter->processed);
	if (write->drop)
		buf_clear(&row->body);
	if (write->forget)
		buf_clear(&row->state);
	replace(&row->body, &write->body);
	replace(&row->state, &write->state);
	if (has_end(world, row) && letter->processed == 0)
		world_fail(world, "%s has the end of a letter that %s has not processed",
			node->name, letter->recipient->name);
}

static void commit(struct world *world, struct node *node)
{
	struct box *box = box_of(world, node);
	bool fails = world->faults && world->shape.disk_errors && world_chance(world, 30);
	struct mail_write *list = box->queue;

	box->queue = NULL;
	box->end = &box->queue;
	if (fails && list != NULL)
		world_say(world, "%s: the disk refuses mail", node->name);
	for (struct mail_write *write = list; write != NULL; write = write->next) {
		write->result = fails ? ERR_FULL : OK;
		if (!fails)
			apply(world, node, write);
	}
	while (list != NULL) {
		struct mail_write *next = list->next;

		list->next = NULL;
		node_step(world, node, &(struct event){.type = EVENT_MAIL_STORED, .mail = list});
		list = next;
	}
}

void post_crash(struct world *world, struct node *node)
{
	struct box *box = box_of(world, node);
	bool reached = world_chance(world, 500);

	while (box->queue != NULL) {
		struct mail_write *next = box->queue->next;

		if (reached)
			apply(world, node, box->queue);
		mail_write_free(box->queue);
		box->queue = next;
	}
	box->end = &box->queue;
}

void post_boot(struct world *world, struct node *node)
{
	struct box *box = box_of(world, node);

	for (size_t i = 0; i < box->count; i++)
		if (box->rows[i].state.size > 0)
			node_step(world, node,
				&(struct event){.type = EVENT_MAIL_LOADED,
					.entry = buf_bytes(&box->rows[i].state)});
}

void post_unlock(struct world *world, struct node *node)
{
	if (!world->shape.twin)
		node_step(world, node, &(struct event){.type = EVENT_MAIL_OPEN});
}

void post_timing(struct engine_timing *timing)
{
	timing->mail_pause = 20 * 1000;
	timing->mail_refused = 10 * 1000;
	timing->mail_answer = 60 * 1000;
	timing->mail_settle = 10 * 1000;
	timing->mail_sweep = 10 * 1000;
}

/* ---- effects ---- */

static void handed(struct world *world, const struct node *node, const Sauti__Mail *mail)
{
	const struct letter *letter;
	struct hash item;

	sha256(codec_bytes(mail->body), &item);
	letter = letter_of(world, &item);
	if (letter != NULL && letter->withdrawn && letter->sender == node)
		world_fail(world, "%s hands over what it has taken back", node->name);
}

static void said(struct world *world, struct node *node, struct bytes frame)
{
	Sauti__Frame *message;
	const Sauti__MailAck *ack;
	struct arena arena;
	struct hash item;
	struct row *row;

	if (frame.size < 1 || (frame.data[0] != TAG_MAIL_ACK && frame.data[0] != TAG_MAIL))
		return;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err = CODEC_UNPACK(frame, frame, &scan_limits_default, &arena, &message, NULL);

	assert(err == OK);
	if (message->body_case == SAUTI__FRAME__BODY_MAIL) {
		handed(world, node, message->mail);
		arena_release(&arena);
		return;
	}
	ack = message->mail_ack;
	if (ack->body_case == SAUTI__MAIL_ACK__BODY_CUSTODY) {
		memcpy(item.b, ack->custody->item.data, HASH_SIZE);
		row = row_of(box_of(world, node), &item);
		if (row == NULL || (row->body.size == 0 && !has_end(world, row)))
			world_fail(
				world, "%s takes custody of what is not on its disk", node->name);
	} else if (ack->body_case == SAUTI__MAIL_ACK__BODY_END) {
		sha256(codec_bytes(ack->end->body), &item);
		bool durable = false;

		for (size_t i = 0; i < box_of(world, node)->count && !durable; i++)
			durable = has_end(world, &box_of(world, node)->rows[i]);
		if (!durable)
			world_fail(world, "%s says the end of a letter before it is durable",
				node->name);
	}
	arena_release(&arena);
}

static void submitted(struct world *world, const struct effect *effect)
{
	for (size_t i = 0; i < world->post->letter_count; i++)
		if (world->post->letters[i].ticket == effect->ticket)
			world->post->letters[i].durable = effect->error == OK;
}

/* Gone from its sender's disk before that is said; nothing of it leaves from there after that. */
static void withdrawn(struct world *world, struct node *node, const struct effect *effect)
{
	for (size_t i = 0; i < world->post->letter_count; i++) {
		struct letter *letter = &world->post->letters[i];
		const struct row *row;

		if (letter->withdraw_ticket != effect->ticket || effect->error != OK)
			continue;
		letter->withdrawn = true;
		row = row_of(box_of(world, node), &letter->item);
		if (row != NULL && row->body.size + row->state.size > 0)
			world_fail(
				world, "%s says that a letter is gone, and it is not", node->name);
	}
}

void post_effect(struct world *world, struct node *node, struct effect *effect)
{
	struct box *box = box_of(world, node);
	struct item *item;

	switch (effect->type) {
	case EFFECT_SEND:
		said(world, node,
			bytes_make(effect->frame.data + FRAME_HEADER_SIZE,
				effect->frame.size - FRAME_HEADER_SIZE));
		break;
	case EFFECT_MAIL_WRITE:
		if (box->queue == NULL)
			queue_plan(world, 2 + world_random(world, 40), ITEM_POST_COMMIT, node);
		*box->end = effect->mail;
		box->end = &effect->mail->next;
		effect->mail = NULL;
		break;
	case EFFECT_MAIL_READ:
	case EFFECT_MAIL_DELIVER:
		item = queue_plan(world, 1 + world_random(world, 10), ITEM_POST_READ, node);
		buf_init(&item->data, HASH_SIZE);
		buf_put(&item->data, hash_bytes(&effect->item));
		item->read.ticket = effect->ticket;
		break;
	case EFFECT_MAIL_SUBMITTED:
		submitted(world, effect);
		break;
	case EFFECT_MAIL_WITHDRAWN:
		withdrawn(world, node, effect);
		break;
	default:
		break;
	}
}

/* The recipient signs that it is done. */
static void process(struct world *world, struct node *node, const struct hash *item)
{
	struct event event = {.type = EVENT_MAIL_DONE, .item = *item, .line = bytes_str("x")};
	struct letter *letter = letter_of(world, item);
	struct mail_end end = {.item = *item, .at = node_clock(world, node)};
	struct buf packed;

	assert(letter != NULL);
	buf_init(&packed, 2048);
	snprintf(end.sender, sizeof(end.sender), "%s", letter->sender->name);
	snprintf(end.recipient, sizeof(end.recipient), "%s", letter->recipient->name);
	event.error = mail_end_write(&packed, "sim.example", &end, node->keys.node);
	event.entry = buf_bytes(&packed);
	world_say(world, "%s processes a letter of %s", node->name, letter->sender->name);
	node_step(world, node, &event);
	buf_release(&packed);
}

static void read_done(struct world *world, const struct item *item)
{
	struct event event = {.type = EVENT_MAIL_READ, .ticket = item->read.ticket};
	struct row *row;
	struct hash hash;

	memcpy(hash.b, item->data.data, HASH_SIZE);
	row = row_of(box_of(world, item->node), &hash);
	if (row == NULL || row->body.size == 0)
		event.error = ERR_NOTFOUND;
	if (item->read.ticket == 0 && event.error == OK) {
		process(world, item->node, &hash);
		return;
	}
	if (item->read.ticket == 0) {
		event.type = EVENT_MAIL_DONE;
		event.item = hash;
	} else if (event.error == OK) {
		event.entry = buf_bytes(&row->body);
	}
	node_step(world, item->node, &event);
}

/* ---- letters ---- */

static void write_letter(struct world *world, struct node *from, struct node *to)
{
	struct letter *letter = &world->post->letters[world->post->letter_count];
	struct mail_draft draft = {
		.network = "sim.example",
		.sender = from->name,
		.recipient = to->name,
		.class = world_chance(world, 100) ? MAIL_ERASURE : MAIL_ORDINARY,
		.kind = MAIL_ADDRESSES,
		.made_at = node_clock(world, from),
	};
	struct arena arena;
	struct mail_item item;
	struct buf packed, content;

	buf_init(&packed, LIMIT_MAIL_ITEM);
	buf_init(&content, LIMIT_MAIL_ITEM);
	buf_put_zeros(&content, world_random(world, world_chance(world, 100) ? 50000 : 500));
	draft.content = buf_bytes(&content);
	put_u64be(draft.id, world_random(world, UINT64_MAX));
	enum err err = mail_write(&packed, &draft, from->keys.node);

	assert(err == OK);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = mail_unpack(buf_bytes(&packed), "sim.example", &arena, &item, NULL);
	assert(err == OK);
	*letter = (struct letter){.item = item.item,
		.sender = from,
		.recipient = to,
		.ticket = ++world->post->letter_count};
	world_say(world, "%s writes to %s", from->name, to->name);
	node_step(world, from,
		&(struct event){.type = EVENT_MAIL_SUBMIT,
			.entry = buf_bytes(&packed),
			.ticket = letter->ticket});
	arena_release(&arena);
	buf_release(&packed);
	buf_release(&content);
}

/* .. that has not ended, as far as its sender knows. Its end may be on the way. */
static void take_back(struct world *world)
{
	struct letter *letter =
		&world->post->letters[world_random(world, world->post->letter_count)];

	if (letter->sender->engine == NULL || letter->withdraw_ticket != 0)
		return;
	letter->withdraw_ticket = LETTERS_MAX + letter->ticket;
	world_say(world, "%s takes a letter to %s back", letter->sender->name,
		letter->recipient->name);
	node_step(world, letter->sender,
		&(struct event){.type = EVENT_MAIL_WITHDRAW,
			.item = letter->item,
			.ticket = letter->withdraw_ticket});
}

static void workload(struct world *world)
{
	struct node *from = &world->nodes[world_random(world, world->shape.nodes)];
	struct node *to = &world->nodes[world_random(world, world->shape.nodes)];

	if (from != to && from->engine != NULL && world->post->letter_count < LETTERS_MAX)
		write_letter(world, from, to);
	if (world->post->letter_count > 0 && world_chance(world, 100))
		take_back(world);
	if (world->now_ms < world->shape.work_ms)
		queue_plan(world, world_random(world, world->shape.append_ms / 2), ITEM_POST, NULL);
}

void post_item(struct world *world, const struct item *item)
{
	if (item->type == ITEM_POST)
		workload(world);
	else if (item->type == ITEM_POST_COMMIT)
		commit(world, item->node);
	else
		read_done(world, item);
}

void post_begin(struct world *world)
{
	world->post = mem_zalloc(sizeof(*world->post));
	assert(world->post != NULL);
	arena_init(&world->post->arena, LIMIT_ARENA_SIZE);
}

void post_begin_letters(struct world *world)
{
	if (!world->shape.twin)
		queue_plan(world, world_random(world, world->shape.append_ms), ITEM_POST, NULL);
}

void post_release(struct world *world)
{
	for (size_t n = 0; world->post != NULL && n < NODES_MAX; n++) {
		struct box *box = &world->post->boxes[n];

		for (size_t i = 0; i < box->count; i++) {
			buf_release(&box->rows[i].body);
			buf_release(&box->rows[i].state);
		}
		while (box->queue != NULL) {
			struct mail_write *next = box->queue->next;

			mail_write_free(box->queue);
			box->queue = next;
		}
		mem_free(box->rows);
	}
	if (world->post != NULL)
		arena_release(&world->post->arena);
	mem_free(world->post);
}

/* Everybody can be trusted to carry it, and its ends are there. */
static bool must_arrive(const struct world *world, const struct letter *letter)
{
	return letter->durable && letter->withdraw_ticket == 0 && world->hostile == NULL &&
	       !letter->sender->gone && !letter->recipient->gone;
}

void post_check_end(struct world *world)
{
	for (size_t i = 0; i < world->post->letter_count; i++) {
		const struct letter *letter = &world->post->letters[i];
		struct engine_mail mail;

		if (!must_arrive(world, letter))
			continue;
		if (letter->processed != 1)
			world_fail(world, "in the end %s has not processed a letter of %s",
				letter->recipient->name, letter->sender->name);
		else if (letter->sender->engine == NULL ||
			 !engine_mail_find(letter->sender->engine, &letter->item, &mail) ||
			 !mail.ended)
			world_fail(world,
				"in the end %s does not know that %s has processed its letter",
				letter->sender->name, letter->recipient->name);
	}
}
