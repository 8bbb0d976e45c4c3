#include "cases/keys/fingerprint.h"

#include <assert.h>

#define LABEL "sauti/1 fingerprint"

enum { INPUT_MAX = sizeof(LABEL) - 1 + 2 + LIMIT_NETWORK_NAME + 2 + LIMIT_NODE_NAME };

static size_t put(uint8_t *out, size_t at, struct bytes bytes)
{
	memcpy(out + at, bytes.data, bytes.size);
	return at + bytes.size;
}

static size_t put_lv16(uint8_t *out, size_t at, const char *text, size_t max)
{
	struct bytes bytes = bytes_str(text);

	assert(bytes.size > 0 && bytes.size <= max);
	put_u16be(out + at, (uint16_t)bytes.size);
	return put(out, at + 2, bytes);
}

void fingerprint_make(const char *network, const char *name, const struct ed25519_public *node,
	struct fingerprint *ret)
{
	uint8_t input[INPUT_MAX + ED25519_PUBLIC_SIZE];
	struct hash hash;
	struct buf words;
	size_t size = put(input, 0, bytes_str(LABEL));

	size = put_lv16(input, size, network, LIMIT_NETWORK_NAME);
	size = put_lv16(input, size, name, LIMIT_NODE_NAME);
	size = put(input, size, BYTES_ARRAY(node->b));
	sha256(bytes_make(input, size), &hash);
	memcpy(ret->b, hash.b, FINGERPRINT_SIZE);
	words = (struct buf){(uint8_t *)ret->text, 0, sizeof(ret->text), sizeof(ret->text), OK};
	words_encode(&words, BYTES_ARRAY(ret->b));
	assert(words.err == OK && words.size < sizeof(ret->text));
	ret->text[words.size] = '\0';
}

enum err fingerprint_compare(
	const struct fingerprint *fingerprint, struct bytes heard, struct errctx *ctx)
{
	uint8_t got[FINGERPRINT_SIZE];

	TRY(words_decode(heard, got, sizeof(got), ctx));
	if (memcmp(got, fingerprint->b, sizeof(got)) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "these are not the words of this key");
	return OK;
}
