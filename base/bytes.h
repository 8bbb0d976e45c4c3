/*
 * bytes: a borrowed view of memory. Whoever makes one guarantees that the memory outlives it.
 * The empty view may have a NULL pointer. Sizes are in bytes.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *data;
	size_t size;
};

#define BYTES_NONE ((struct bytes){NULL, 0})
/* A view of a whole array or plain struct (not of a pointer). */
#define BYTES_ARRAY(a) ((struct bytes){(const uint8_t *)(a), sizeof(a)})
/* printf("%.*s", BYTES_FMT(b)) */
#define BYTES_FMT(b) (int)(b).size, (const char *)(b).data

static inline struct bytes bytes_make(const void *data, size_t size)
{
	return (struct bytes){(const uint8_t *)data, size};
}

/* A view of a C string, without its terminator. */
static inline struct bytes bytes_str(const char *text)
{
	return bytes_make(text, strlen(text));
}

/* Not constant time: never for secrets (see secret.h). */
static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Lexicographic, shorter first. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
	size_t n = a.size < b.size ? a.size : b.size;
	int c = n == 0 ? 0 : memcmp(a.data, b.data, n);

	return c != 0 ? c : (a.size > b.size) - (a.size < b.size);
}

static inline bool bytes_equal_str(struct bytes a, const char *text)
{
	return bytes_equal(a, bytes_str(text));
}

static inline void put_u16be(uint8_t *out, uint16_t v)
{
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
}

static inline void put_u32be(uint8_t *out, uint32_t v)
{
	put_u16be(out, (uint16_t)(v >> 16));
	put_u16be(out + 2, (uint16_t)v);
}

static inline void put_u64be(uint8_t *out, uint64_t v)
{
	put_u32be(out, (uint32_t)(v >> 32));
	put_u32be(out + 4, (uint32_t)v);
}

static inline uint16_t get_u16be(const uint8_t *in)
{
	return (uint16_t)((uint16_t)in[0] << 8 | in[1]);
}

static inline uint32_t get_u32be(const uint8_t *in)
{
	return (uint32_t)get_u16be(in) << 16 | get_u16be(in + 2);
}

static inline uint64_t get_u64be(const uint8_t *in)
{
	return (uint64_t)get_u32be(in) << 32 | get_u32be(in + 4);
}

#endif
