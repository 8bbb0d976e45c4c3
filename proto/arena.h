/*
 * arena: a capped bump allocator behind ProtobufCAllocator, so that unpacking foreign bytes costs
 * a bounded amount of memory and is freed at once. A zero-initialised arena with a maximum is
 * usable; memory comes in blocks from base/alloc.h. Not thread-safe.
 */
#ifndef PROTO_ARENA_H
#define PROTO_ARENA_H

#include <protobuf-c/protobuf-c.h>

#include "base/err.h"

struct arena_block;
struct arena {
	ProtobufCAllocator allocator; /* hand &arena->allocator to protobuf-c */
	struct arena_block *blocks;
	size_t used, max;
};

void arena_init(struct arena *arena, size_t max);
void arena_clear(struct arena *arena);   /* everything unpacked from it becomes invalid */
void arena_release(struct arena *arena); /* as clear, gives the memory back */
void *arena_alloc(struct arena *arena, size_t size) MUST_USE; /* 16-byte aligned; NULL over max */

#endif
