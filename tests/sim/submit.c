#include "tests/sim/submit.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/text.h"
#include "replication/log/add_checkpoint.h"
#include "tests/sim/check.h"
#include "tests/sim/nodes.h"

enum { FORKS_MAX = 8, SIGNED_MAX = 4096, ASKS_MAX = 256, MORE_MAX = 24, OFTEN_MS = 3000 };

/* Another tree of a log: its first leaves, and others. */
struct other {
	struct origin origin;
	size_t size;
	struct hash *leaf;
};

/* The newest that a key of a machine has signed of a log. */
struct newest {
	const struct node *node;
	const struct signer *key;
	struct checkpoint is;
};

struct asked_witness {
	const struct node *node;
	uint64_t ticket, life;
	struct checkpoint checkpoint; /* size UINT64_MAX: it was no body */
};

struct submit {
	uint64_t random; /* of its own: other seeds stay what they are */
	struct other forks[FORKS_MAX];
	size_t fork_count;
	struct newest newest[SIGNED_MAX];
	size_t newest_count;
	struct asked_witness asked[ASKS_MAX];
	size_t asked_count;
	uint64_t next_ticket;
};

static uint64_t dice(struct world *world, uint64_t below)
{
	uint64_t z = world->submit->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return below == 0 ? 0 : (z ^ z >> 31) % below;
}

void submit_begin(struct world *world)
{
	world->submit = mem_zalloc(sizeof(*world->submit));
	assert(world->submit != NULL);
	world->submit->random = world->seed * 104729 + 7;
	for (size_t i = 0; world->shape.submits && i < world->node_count; i++)
		queue_plan(world, dice(world, 20000), ITEM_SUBMIT, &world->nodes[i]);
}

void submit_release(struct world *world)
{
	for (size_t i = 0; world->submit != NULL && i < world->submit->fork_count; i++)
		mem_free(world->submit->forks[i].leaf);
	mem_free(world->submit);
	world->submit = NULL;
}

/* ---- trees ---- */

static void root_of(const struct hash *leaf, uint64_t size, struct hash *ret)
{
	struct compact compact;

	compact_init(&compact);
	for (uint64_t i = 0; i < size; i++)
		compact_append(&compact, &leaf[i]);
	compact_root(&compact, ret);
}

static enum err node_of(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	root_of((const struct hash *)arg + (index << level), UINT64_C(1) << level, ret);
	return OK;
}

static bool has(const struct hash *leaf, size_t size, const struct checkpoint *checkpoint)
{
	struct hash root;

	if (checkpoint->size > size)
		return false;
	root_of(leaf, checkpoint->size, &root);
	return hash_equal(&root, &checkpoint->root);
}

static bool has_both(const struct hash *leaf, size_t size, const struct checkpoint *a,
	const struct checkpoint *b)
{
	return has(leaf, size, a) && has(leaf, size, b);
}

/* Is there a tree with both roots? */
static bool follows(struct world *world, const struct checkpoint *a, const struct checkpoint *b)
{
	const struct submit *submit = world->submit;

	for (size_t i = 0; i < world->node_count; i++) {
		struct disk_log *log = disk_find(&world->nodes[i].disk, &a->origin);

		if (log != NULL && has_both(log->leaf, log->size, a, b))
			return true;
		log = world->nodes[i].imaged ? disk_find(&world->nodes[i].image, &a->origin) : NULL;
		if (log != NULL && has_both(log->leaf, log->size, a, b))
			return true;
	}
	for (size_t i = 0; i < submit->fork_count; i++)
		if (strcmp(submit->forks[i].origin.text, a->origin.text) == 0 &&
			has_both(submit->forks[i].leaf, submit->forks[i].size, a, b))
			return true;
	return false;
}

/* ---- what is signed ---- */

static struct newest *newest_of(
	struct world *world, const struct node *node, const struct origin *origin)
{
	struct submit *submit = world->submit;

	for (size_t i = 0; i < submit->newest_count; i++)
		if (submit->newest[i].node == node && submit->newest[i].key == node->keys.witness &&
			strcmp(submit->newest[i].is.origin.text, origin->text) == 0)
			return &submit->newest[i];
	assert(submit->newest_count < SIGNED_MAX);
	submit->newest[submit->newest_count] = (struct newest){
		.node = node, .key = node->keys.witness, .is = {.origin = *origin, .size = 0}};
	return &submit->newest[submit->newest_count++];
}

/* A disk that could not say what it wrote may remember more than was ever signed. */
static bool remembers(
	const struct node *node, const struct disk_log *log, const struct checkpoint *checkpoint)
{
	char name[LIMIT_NODE_NAME + 16];

	if (log == NULL)
		return false;
	if (checkpoint_equal(&log->seen, checkpoint) ||
		(node->disk.broken && log->seen.size > checkpoint->size))
		return true;
	/* The memory of an older store is a row among the cosignatures. */
	snprintf(name, sizeof(name), "witness/%s", node->name);
	for (size_t i = 0; i < log->cosigned_count; i++)
		if (strcmp(log->cosigned[i].cosigner, name) == 0)
			return log->cosigned[i].size == checkpoint->size &&
			       log->seen.size <= checkpoint->size;
	return false;
}

void submit_signs(struct world *world, struct node *node, const struct checkpoint *checkpoint)
{
	const struct disk_log *log = disk_find(&node->disk, &checkpoint->origin);
	struct newest *newest = newest_of(world, node, &checkpoint->origin);
	unsigned long long size = checkpoint->size, before = newest->is.size;

	if (checkpoint->size == 0 && before == 0)
		return;
	if (!remembers(node, log, checkpoint))
		world_fail(world, "%s witnesses size %llu of %s, which it does not remember",
			node->name, size, checkpoint->origin.text);
	else if (size < before)
		world_fail(world, "%s witnesses size %llu of %s, and witnessed %llu before",
			node->name, size, checkpoint->origin.text, before);
	else if (before > 0 &&
		 !(size == before && hash_equal(&checkpoint->root, &newest->is.root)) &&
		 !follows(world, &newest->is, checkpoint))
		world_fail(world,
			"%s witnesses size %llu of %s, which does not follow from the %llu that it "
			"witnessed before",
			node->name, size, checkpoint->origin.text, before);
	else
		newest->is = *checkpoint;
	world->counts.witnessed++;
}

/* ---- answers ---- */

void submit_crashed(struct world *world, const struct node *node)
{
	struct submit *submit = world->submit;

	for (size_t i = 0; i < submit->asked_count;)
		if (submit->asked[i].node == node)
			submit->asked[i] = submit->asked[--submit->asked_count];
		else
			i++;
}

static bool is_line_over(
	const struct node *node, struct bytes line, const struct checkpoint *checkpoint)
{
	struct note_line parsed;
	struct note_key key;
	struct buf text;
	bool good;

	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, checkpoint);
	good = note_line_parse(line, &parsed, NULL) == OK &&
	       witness_note_key(bytes_str("sim.example"), bytes_str(node->name),
		       &node->keys.member.witness, &key) == OK &&
	       cosignature_verify(&parsed, buf_bytes(&text), &key, NULL) == OK;
	buf_release(&text);
	return good;
}

static void conflict_well(
	struct world *world, struct node *node, const struct effect *effect, const char *origin)
{
	struct bytes body = buf_bytes(&effect->body);
	struct engine_log log;
	size_t position;
	uint64_t size = 0;

	if (body.size == 0 || body.data[body.size - 1] != '\n' ||
		decimal_parse(bytes_make(body.data, body.size - 1), LIMIT_LOG_SIZE, &size) != OK ||
		!engine_log_find(node->engine, bytes_str(origin), &log, &position) ||
		log.witness.size != size)
		world_fail(world, "%s says 409 with a size that it does not remember", node->name);
}

void submit_answered(struct world *world, struct node *node, const struct effect *effect)
{
	struct submit *submit = world->submit;
	struct asked_witness asked;
	const struct newest *newest;
	size_t at = 0;

	while (at < submit->asked_count &&
		(submit->asked[at].node != node || submit->asked[at].ticket != effect->ticket))
		at++;
	if (at == submit->asked_count) {
		world_fail(world, "%s answers a submission that is not there", node->name);
		return;
	}
	asked = submit->asked[at];
	submit->asked[at] = submit->asked[--submit->asked_count];
	world_say(world, "%s: checkpoint of size %llu of %s: %llu", node->name,
		(unsigned long long)asked.checkpoint.size, asked.checkpoint.origin.text,
		(unsigned long long)effect->index);
	if (effect->index == 409)
		conflict_well(world, node, effect, asked.checkpoint.origin.text);
	if (effect->index != 200)
		return;
	world->counts.submitted++;
	newest = newest_of(world, node, &asked.checkpoint.origin);
	if (!checkpoint_equal(&newest->is, &asked.checkpoint))
		world_fail(world, "%s says that it witnessed what it did not", node->name);
	else if (!is_line_over(node, buf_bytes(&effect->body), &asked.checkpoint))
		world_fail(
			world, "%s gives a line that is not over what was submitted", node->name);
}

/* ---- what is submitted ---- */

/* A log that the node is asked to witness, and its leaves. */
struct subject {
	struct truth *truth;
	const struct hash *leaf;
	size_t size;
};

static bool subject_choose(struct world *world, const struct node *node, struct subject *ret)
{
	const struct truths *truths = &world->check->truths;
	struct truth *truth = truths->count == 0 ? NULL : truths->list[dice(world, truths->count)];
	const struct disk_log *log;

	if (truth == NULL || truth->author == NULL || truth->key == NULL ||
		truth_is_branch(truth->origin.text) ||
		(truth->forked && truth->author != world->hostile))
		return false;
	log = disk_find(&truth->author->disk, &truth->origin);
	if (log == NULL || log->size == 0)
		return false;
	*ret = (struct subject){truth, log->leaf, log->size};
	return true;
}

/* Another tree of the hostile node's log; none of anybody else's is ever signed. */
static void fork_choose(struct world *world, struct subject *subject)
{
	struct submit *submit = world->submit;
	struct other *other;
	size_t common;

	if (subject->truth->author != world->hostile || !subject->truth->forked ||
		dice(world, 3) == 0)
		return;
	if (submit->fork_count == FORKS_MAX || (submit->fork_count > 0 && dice(world, 2) == 0)) {
		other = &submit->forks[dice(world, submit->fork_count)];
	} else {
		other = &submit->forks[submit->fork_count++];
		common = dice(world, 2) == 0 ? subject->size : (size_t)dice(world, subject->size);
		other->origin = subject->truth->origin;
		other->size = subject->size + 1 + (size_t)dice(world, MORE_MAX);
		other->leaf = mem_array(other->size, sizeof(*other->leaf));
		assert(other->leaf != NULL);
		memcpy(other->leaf, subject->leaf, common * sizeof(*other->leaf));
		for (size_t i = common; i < other->size; i++) {
			uint8_t entry[4] = {
				'f', (uint8_t)submit->fork_count, (uint8_t)(i >> 8), (uint8_t)i};

			tree_leaf(BYTES_ARRAY(entry), &other->leaf[i]);
		}
	}
	if (strcmp(other->origin.text, subject->truth->origin.text) == 0) {
		subject->leaf = other->leaf;
		subject->size = other->size;
	}
}

static uint64_t remembered(const struct node *node, const struct origin *origin)
{
	struct engine_log log;
	size_t position;

	return engine_log_find(node->engine, bytes_str(origin->text), &log, &position)
		       ? log.witness.size
		       : 0;
}

static void proof_make(struct world *world, const struct subject *subject, uint64_t old,
	uint64_t size, struct proof *ret)
{
	struct tree_source source = {node_of, (void *)subject->leaf};

	ret->count = 0;
	if (old > 0 && old < size) {
		enum err err = tree_prove_consistency(&source, old, size, ret);

		assert(err == OK);
	}
	if (ret->count > 0 && dice(world, 10) == 0)
		ret->hashes[dice(world, ret->count)].b[0] ^= 1;
	if (dice(world, 30) == 0)
		ret->count = 0;
}

static void hand_in(struct world *world, struct node *node, struct bytes body,
	const struct checkpoint *checkpoint)
{
	struct submit *submit = world->submit;
	uint64_t ticket = UINT64_C(1) << 60 | ++submit->next_ticket;

	if (submit->asked_count == ASKS_MAX)
		return;
	submit->asked[submit->asked_count++] =
		(struct asked_witness){.node = node, .ticket = ticket, .checkpoint = *checkpoint};
	node_step(world, node,
		&(struct event){.type = EVENT_ADD_CHECKPOINT, .entry = body, .ticket = ticket});
}

static void submit_one(struct world *world, struct node *node, const struct subject *from)
{
	struct subject subject = *from;
	struct checkpoint checkpoint = {.origin = subject.truth->origin};
	uint64_t old = remembered(node, &checkpoint.origin);
	struct proof proof;
	struct buf note, body;

	fork_choose(world, &subject);
	if (dice(world, 6) == 0)
		old = dice(world, subject.size + 2);
	checkpoint.size = old < subject.size && dice(world, 8) > 0
				  ? old + dice(world, subject.size - old + 1)
				  : 1 + dice(world, subject.size);
	if (checkpoint.size == 0)
		checkpoint.size = 1;
	root_of(subject.leaf, checkpoint.size, &checkpoint.root);
	proof_make(world, &subject, old, checkpoint.size, &proof);
	buf_init(&note, LIMIT_NOTE_SIZE);
	buf_init(&body, LIMIT_ADD_CHECKPOINT);
	enum err err = checkpoint_sign(&note, &checkpoint, subject.truth->key);

	assert(err == OK);
	add_checkpoint_write(&body, old, &proof, buf_bytes(&note));
	if (dice(world, 20) == 0)
		body.data[dice(world, body.size)] ^= (uint8_t)(1 + dice(world, 255));
	assert(body.err == OK);
	hand_in(world, node, buf_bytes(&body), &checkpoint);
	buf_release(&note);
	buf_release(&body);
}

void submit_next(struct world *world, struct node *node)
{
	struct subject subject;

	if (node->engine != NULL && node != world->hostile && world->faults &&
		subject_choose(world, node, &subject)) {
		uint64_t at_once = 1 + (dice(world, 3) == 0) + (dice(world, 9) == 0);

		for (uint64_t i = 0; i < at_once && node->engine != NULL; i++)
			submit_one(world, node, &subject);
	}
	if (world->faults && !node->gone)
		queue_plan(world,
			100 + dice(world, world->shape.dark ? world->shape.append_ms : OFTEN_MS),
			ITEM_SUBMIT, node);
}
