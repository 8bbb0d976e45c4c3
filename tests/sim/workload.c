#include "tests/sim/workload.h"

#include <assert.h>

#include "tests/sim/check.h"
#include "tests/sim/genesis.h"
#include "tests/sim/nodes.h"

void workload_append(struct world *world, struct node *node)
{
	struct buf list[8];
	size_t count = 1 + world_random(world, 8);

	if (node->engine != NULL && guard_writable(node)) {
		for (size_t i = 0; i < count; i++) {
			buf_init(&list[i], LIMIT_ENTRY_SIZE);
			/* now and then one so large that a batch holds few of them */
			size_t size =
				1 + world_random(world,
					    world_chance(world, world->shape.slow ? 3 : 30) ? 60000
											    : 700);

			buf_printf(&list[i], "%s %llu ", node->name,
				(unsigned long long)node->appends++);
			buf_put_zeros(&list[i], size);
		}
		world_say(world, "%s: asked to append %zu entries as %llu", node->name, count,
			(unsigned long long)world->check->asked_count);
		node_append(world, node, &node->keys.origin, list, count);
		for (size_t i = 0; i < count; i++)
			buf_release(&list[i]);
	}
	if (world->shape.mode == MODE_SAFETY || world->now_ms < world->shape.work_ms)
		queue_plan(world,
			world_random(world, world_chance(world, 500) ? 50 : world->shape.append_ms),
			ITEM_APPEND, node);
}

/* A node that joins late: headquarters admits it, and what join leaves behind is on its disk. */
void workload_admit(struct world *world, struct node *node)
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
			queue_plan(world, 1000, ITEM_ADMIT, node);
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
		node_boot(world, node);
		queue_plan(world, 100, ITEM_APPEND, node);
		return;
	}
	if (hq->engine != NULL) {
		buf_init(&entry, LIMIT_ENTRY_SIZE);
		genesis_admitted(node, &entry);
		node_append(world, hq, &world->directory, &entry, 1);
		buf_release(&entry);
		node->admitted = true;
	}
	queue_plan(world, 3000, ITEM_ADMIT, node);
}
