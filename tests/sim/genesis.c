#include "tests/sim/genesis.h"

#include <assert.h>

struct signer *genesis_signer(struct world *world)
{
	uint8_t seed[ED25519_SEED_SIZE];
	struct signer *signer;

	for (size_t i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)world_random(world, 256);
	enum err err = signer_new(bytes_make(seed, sizeof(seed)), &signer);

	assert(err == OK);
	return signer;
}

void genesis_origin(struct world *world, const char *name, struct origin *ret)
{
	uint8_t random[8];

	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)world_random(world, 256);
	enum err err = origin_make(bytes_str("sim.example"), bytes_str(name), 1, random, ret);

	assert(err == OK);
}

void genesis_keys(struct world *world, struct node *node)
{
	static const char *const names[] = {"hq", "caf", "cod", "hti", "ssd", "audit"};
	const size_t known = sizeof(names) / sizeof(*names);
	struct keys *keys = &node->keys;

	if (node->number < known)
		snprintf(node->name, sizeof(node->name), "%s", names[node->number]);
	else
		snprintf(node->name, sizeof(node->name), "office-%zu", node->number);
	keys->node = genesis_signer(world);
	keys->log = genesis_signer(world);
	keys->mirror = genesis_signer(world);
	keys->witness = genesis_signer(world);
	genesis_origin(world, node->name, &keys->origin);
	struct member *m = &keys->member;

	snprintf(m->name, sizeof(m->name), "%s", node->name);
	m->role = node->number == 0 ? ROLE_HQ : ROLE_OFFICE;
	if (node->number > 0)
		snprintf(m->country, sizeof(m->country), "Z%c%c", (char)('A' + node->number / 26),
			(char)('A' + node->number % 26));
	m->node = *signer_public(keys->node);
	m->mirror = *signer_public(keys->mirror);
	m->witness = *signer_public(keys->witness);
	for (size_t i = 0; i < HASH_SIZE; i++) {
		m->tls_spki.b[i] = (uint8_t)world_random(world, 256);
		m->complaint.b[i] = (uint8_t)world_random(world, 256);
	}
}

void genesis_admitted(const struct node *node, struct buf *out)
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

void genesis_log_opened(const struct node *node, const struct origin *origin,
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
void genesis_directory(struct world *world)
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
	genesis_log_opened(hq, &world->directory, world->directory_key, &entry[count++]);
	enum err err = network_created_write(&entry[count++], &created, hq->keys.node);

	assert(err == OK && write != NULL);
	for (size_t i = 0; i < world->node_count; i++)
		if (world->nodes[i].admitted)
			genesis_admitted(&world->nodes[i], &entry[count++]);
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
