#include "proto/arena.h"

#include <stdint.h>

#include "base/alloc.h"

enum { BLOCK_SIZE = 64 * 1024, ALIGN = 16 };

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	_Alignas(ALIGN) uint8_t data[];
};

static void *arena_allocate(void *arg, size_t size)
{
	return arena_alloc(arg, size);
}

static void arena_ignore(void *arg, void *pointer)
{
}

void arena_init(struct arena *arena, size_t max)
{
	*arena = (struct arena){
		.allocator = {arena_allocate, arena_ignore, arena},
		.max = max,
	};
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->blocks;

	if (size > arena->max || arena->used > arena->max - size)
		return NULL;
	size = (size + ALIGN - 1) / ALIGN * ALIGN;
	if (block == NULL || block->size - block->used < size) {
		size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		block = mem_alloc(sizeof(*block) + room);
		if (block == NULL)
			return NULL;
		*block = (struct arena_block){.next = arena->blocks, .size = room};
		arena->blocks = block;
	}
	void *pointer = block->data + block->used;

	block->used += size;
	arena->used += size;
	return pointer;
}

static void free_blocks(struct arena_block *block)
{
	while (block != NULL) {
		struct arena_block *next = block->next;

		mem_free(block);
		block = next;
	}
}

/* Keeps one block of the usual size, so that a stream of small messages costs no malloc. */
void arena_clear(struct arena *arena)
{
	struct arena_block *keep = arena->blocks;

	arena->used = 0;
	if (keep == NULL)
		return;
	if (keep->size > BLOCK_SIZE) {
		arena_release(arena);
		return;
	}
	free_blocks(keep->next);
	keep->next = NULL;
	keep->used = 0;
}

void arena_release(struct arena *arena)
{
	free_blocks(arena->blocks);
	arena->blocks = NULL;
	arena->used = 0;
}
