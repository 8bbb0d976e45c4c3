/*
 * heap: nothing that is freed stays readable. In this program free(3) and realloc(3) are ours, for
 * every library in the process: the whole block is overwritten, then the C library's own free gets
 * it. So a key, a plaintext or a passphrase that passed through OpenSSL, zstd, Jansson, libuv or
 * protobuf-c is gone with the block that held it, and a lock, which frees all of them, leaves
 * nothing behind.
 *
 * Allocations still go to whatever malloc the process has. Not in builds with sanitizers, which
 * have a heap of their own.
 *
 * Stacks are the other place: memory_wipe_stack (server/vault/stack.h).
 */
#ifndef SERVER_HEAP_H
#define SERVER_HEAP_H

#include <stdbool.h>

/* Is it so in this build? */
bool heap_wipes(void);

#endif
