/* What the generators of vectors share: fixed keys, and JSON. */
#ifndef TESTS_VECTORS_VECTORS_H
#define TESTS_VECTORS_VECTORS_H

#include <assert.h>
#include <stdio.h>

#include "base/crypto.h"
#include "base/limits.h"
#include "base/text.h"

#define ORIGIN "ovra.example/haiti/1-00112233445566aa"

/* The signer whose seed is 32 times that byte. */
static inline struct signer *fixed_signer(uint8_t value)
{
	uint8_t seed[ED25519_SEED_SIZE];
	struct signer *signer;
	enum err err;

	memset(seed, value, sizeof(seed));
	err = signer_new(BYTES_ARRAY(seed), &signer);
	assert(err == OK);
	return signer;
}

/* Objects in a list: json_open begins one, json_hex and json_text add members, json_close ends it.
 */
static bool json_first = true;

static inline void json_list(void)
{
	json_first = true;
}

static inline void json_open(const char *name)
{
	printf("%s\n\t{\n\t\t\"name\": \"%s\"", json_first ? "" : ",", name);
	json_first = false;
}

static inline void json_hex(const char *name, struct bytes data)
{
	static char hex[2 * LIMIT_ENTRY_SIZE + 1];

	assert(data.size <= LIMIT_ENTRY_SIZE);
	hex_encode(data, hex);
	printf(",\n\t\t\"%s\": \"%s\"", name, hex);
}

/* Text of notes: only line feeds, and the dash of signature lines, need care. */
static inline void json_text(const char *name, struct bytes text)
{
	printf(",\n\t\t\"%s\": \"", name);
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (c == '\n')
			printf("\\n");
		else if (c < 0x20 || c == '"' || c == '\\')
			printf("\\u%04x", (unsigned)c);
		else
			putchar(c);
	}
	putchar('"');
}

static inline void json_number(const char *name, uint64_t value)
{
	printf(",\n\t\t\"%s\": %llu", name, (unsigned long long)value);
}

static inline void json_close(void)
{
	printf("\n\t}");
}

#endif
