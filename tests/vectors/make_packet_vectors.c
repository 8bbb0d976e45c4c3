/* Writes tests/vectors/packet.json to standard output: sealed packets (docs/FORMAT). */
#include "tests/vectors/vectors.h"

#include "cases/packet/sealed.h"

static void vector(
	const char *name, struct scrypt_cost cost, const char *passphrase, struct bytes text)
{
	uint8_t salt[SEALED_SALT_SIZE];
	struct buf file;
	enum err err;

	for (size_t i = 0; i < sizeof salt; i++)
		salt[i] = (uint8_t)(0x60 + i);
	buf_init(&file, SEALED_FILE_MAX);
	err = sealed_write(bytes_str(passphrase), salt, cost, text, &file);
	assert(err == OK);
	json_open(name);
	json_hex("passphrase", bytes_str(passphrase));
	json_hex("text", text);
	json_hex("file", buf_bytes(&file));
	json_close();
	buf_release(&file);
}

int main(void)
{
	const struct scrypt_cost cheap = {.n = 1 << 14, .r = 8, .p = 2};
	static uint8_t step[380];
	enum err err = crypto_init();

	assert(err == OK);
	memset(step, 'z', sizeof step);
	printf("[");
	vector("as they are made", sealed_cost, "lorem ipsum", bytes_str("<p>dolor</p>\n"));
	vector("empty, another cost", cheap, "\xc3\xa9", BYTES_NONE);
	vector("just a step", cheap, "x", BYTES_ARRAY(step));
	printf("\n]\n");
	crypto_release();
	return 0;
}
