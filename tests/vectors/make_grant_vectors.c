/* Writes tests/vectors/grant.json to standard output: commitments to grants (docs/FORMAT). */
#include "tests/vectors/vectors.h"

#include "cases/keys/grant.h"

static struct grant_key keys[LIMIT_GRANT_KEYS];

/* Keys in falling order of kid: what is hashed is in rising order. */
static void vector(const char *name, const char *recipient, size_t count, bool consent)
{
	uint8_t nonce[GRANT_NONCE_SIZE];
	struct hash leaf, commitment;
	struct grant_commitment in = {
		.nonce = nonce,
		.recipient = bytes_str(recipient),
		.consent_leaf = consent ? &leaf : NULL,
		.keys = keys,
		.count = count,
	};
	static uint8_t kids[LIMIT_GRANT_KEYS * (SEAL_KID_SIZE + 8)];
	enum err err;

	sha256(bytes_str(name), &leaf);
	for (size_t i = 0; i < sizeof nonce; i++)
		nonce[i] = (uint8_t)(0x20 + i);
	for (size_t i = 0; i < count; i++) {
		memset(&keys[i], (int)(0xff - i), sizeof keys[i].kid);
		keys[i].first = i * 1000 + 7;
		memcpy(kids + i * 24, keys[i].kid.b, SEAL_KID_SIZE);
		put_u64be(kids + i * 24 + SEAL_KID_SIZE, keys[i].first);
	}
	err = grant_commitment(&in, &commitment);
	assert(err == OK);
	json_open(name);
	json_hex("nonce", BYTES_ARRAY(nonce));
	json_text("recipient", in.recipient);
	json_hex("consent_leaf", consent ? hash_bytes(&leaf) : BYTES_NONE);
	json_hex("keys", bytes_make(kids, count * 24));
	json_hex("commitment", hash_bytes(&commitment));
	json_close();
}

int main(void)
{
	enum err err = crypto_init();

	assert(err == OK);
	printf("[");
	vector("one key, on a consent", "rdc", 1, true);
	vector("three keys", "a-name-of-thirty-one-characters", 3, true);
	vector("without a consent", "haiti", 2, false);
	vector("as many as there may be", "haiti", LIMIT_GRANT_KEYS, true);
	printf("\n]\n");
	crypto_release();
	return 0;
}
