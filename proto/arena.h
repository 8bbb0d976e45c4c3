/*
 * arena: a capped bump allocator behind ProtobufCAllocator, so that unpacking foreign bytes costs
 * a bounded amount of memory and is freed at once. A zero-initialised arena with a maximum is
 * usable; memory comes in blocks of 64 KiB (larger for larger requests) from base/alloc.h, so that
 * at most about twice the maximum is held. Freeing through the allocator does nothing. Not
 * thread-safe.
 */
#ifndef PROTO_ARENA_H
#define PROTO_ARENA_H

#include <protobuf-c/protobuf-c.h>

#include "base/err.h"

struct arena_block;
struct arena {
	/* Hand arena_allocator(arena) to protobuf-c. Who has memory of its own for a message
	 * (secrets that must be wiped) puts an allocator over it here, and uses nothing else of the
	 * arena. */
	ProtobufCAllocator allocator;
	struct arena_block *blocks;
	size_t used, max; /* bytes handed out, each request rounded up to 16; used <= max */
};

void arena_init(struct arena *arena, size_t max);
/* Everything unpacked from it becomes invalid. One block of the usual size is kept, so that a
 * stream of small messages costs no malloc. */
void arena_clear(struct arena *arena);
void arena_release(struct arena *arena); /* as clear, gives the memory back; NULL is fine */
/* 16-byte aligned, not zeroed; NULL over max and when out of memory. */
void *arena_alloc(struct arena *arena, size_t size) MUST_USE;
/* For protobuf-c; valid until the arena is moved. */
ProtobufCAllocator *arena_allocator(struct arena *arena);

#endif
