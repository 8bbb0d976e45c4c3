#include "proto/arena.h"

#include <stdint.h>

#include "base/alloc.h"

/* Most arenas hold one small message for a moment, and are wiped whole when they are freed: the
 * first block is small. */
enum { BLOCK_FIRST = 4096, BLOCK_SIZE = 64 * 1024, ALIGN = 16 };

/* Blocks of the usual size are filled one after the other; what is larger gets its own block and
 * goes behind the one being filled, whose rest stays usable. */
struct arena_block {
	struct arena_block *next;
	size_t size, used;
	_Alignas(ALIGN) uint8_t data[];
};

/* With AddressSanitizer only what was handed out may be touched: reads past an allocation and
 * after arena_clear are found although the block is still there. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define HIDE(pointer, size) ASAN_POISON_MEMORY_REGION(pointer, size)
#define SHOW(pointer, size) ASAN_UNPOISON_MEMORY_REGION(pointer, size)
#else
#define HIDE(pointer, size) ((void)(pointer), (void)(size))
#define SHOW(pointer, size) ((void)(pointer), (void)(size))
#endif

static void *allocate(void *arg, size_t size)
{
	return arena_alloc(arg, size);
}

static void ignore(void *arg, void *pointer) {}

/* Again before each use: a zeroed arena has no allocator yet, a copied one that of another. One
 * that a caller put in its place stays. */
static void aim(struct arena *arena)
{
	if (arena->allocator.alloc == NULL || arena->allocator.alloc == allocate)
		arena->allocator = (ProtobufCAllocator){allocate, ignore, arena};
}

void arena_init(struct arena *arena, size_t max)
{
	*arena = (struct arena){.max = max};
	aim(arena);
}

ProtobufCAllocator *arena_allocator(struct arena *arena)
{
	aim(arena);
	return &arena->allocator;
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
	size_t usual = arena->blocks == NULL ? BLOCK_FIRST : BLOCK_SIZE;
	size_t room = size > usual ? size : usual;
	struct arena_block *block;
	size_t total;

	if (__builtin_add_overflow(sizeof(*block), room, &total))
		return NULL;
	block = mem_alloc(total);
	if (block == NULL)
		return NULL;
	*block = (struct arena_block){.size = room};
	HIDE(block->data, room);
	if (size > BLOCK_SIZE && arena->blocks != NULL) {
		block->next = arena->blocks->next;
		arena->blocks->next = block;
	} else {
		block->next = arena->blocks;
		arena->blocks = block;
	}
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->blocks;
	size_t rounded;
	void *pointer;

	if (__builtin_add_overflow(size, ALIGN - 1, &rounded))
		return NULL;
	rounded -= rounded % ALIGN;
	if (rounded > arena->max - arena->used)
		return NULL;
	if (block == NULL || rounded > block->size - block->used)
		block = add_block(arena, rounded);
	if (block == NULL)
		return NULL;
	pointer = block->data + block->used;
	block->used += rounded;
	arena->used += rounded;
	SHOW(pointer, size);
	return pointer;
}

static void free_blocks(struct arena_block *block)
{
	while (block != NULL) {
		struct arena_block *next = block->next;

		SHOW(block->data, block->size);
		mem_free(block);
		block = next;
	}
}

void arena_clear(struct arena *arena)
{
	struct arena_block *keep = arena->blocks;

	if (keep == NULL || keep->size > BLOCK_SIZE) {
		arena_release(arena);
		return;
	}
	free_blocks(keep->next);
	keep->next = NULL;
	keep->used = 0;
	HIDE(keep->data, keep->size);
	arena->used = 0;
}

void arena_release(struct arena *arena)
{
	if (arena == NULL)
		return;
	free_blocks(arena->blocks);
	arena->blocks = NULL;
	arena->used = 0;
}
