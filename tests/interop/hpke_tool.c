/*
 * base/hpke for another program: hpke_tool seal PUBLIC INFO AAD PLAIN, hpke_tool open PRIVATE INFO
 * AAD SEALED; everything in hex, the result on stdout. Exits 1 when it does not open.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hpke.h"
#include "base/text.h"

enum { SIZE_MAX_HERE = 64 * 1024 };
static uint8_t room[4][SIZE_MAX_HERE], out[SIZE_MAX_HERE + HPKE_OVERHEAD];

static enum err run(bool seal, const struct bytes *in, size_t *ret_size)
{
	struct x25519_public recipient;
	struct secret ephemeral = {0};
	enum err err;

	if (in[0].size != X25519_KEY_SIZE)
		return ERR_INVALID;
	if (!seal) {
		if (in[3].size < HPKE_OVERHEAD)
			return ERR_DECRYPT;
		*ret_size = in[3].size - HPKE_OVERHEAD;
		return hpke_open(in[0], in[1], in[2], in[3], out);
	}
	memcpy(recipient.b, in[0].data, sizeof(recipient.b));
	TRY(secret_random(&ephemeral, X25519_KEY_SIZE));
	*ret_size = in[3].size + HPKE_OVERHEAD;
	err = hpke_seal(&recipient, in[1], in[2], in[3], secret_bytes(&ephemeral), out);
	secret_release(&ephemeral);
	return err;
}

int main(int argc, char **argv)
{
	struct bytes in[4];
	size_t size = 0;

	if (argc != 6 || crypto_init() != OK)
		return 2;
	for (size_t i = 0; i < 4; i++) {
		size_t length = strlen(argv[i + 2]) / 2;

		if (length > SIZE_MAX_HERE ||
			hex_decode(bytes_str(argv[i + 2]), room[i], length) != OK)
			return 2;
		in[i] = bytes_make(room[i], length);
	}
	enum err err = run(strcmp(argv[1], "seal") == 0, in, &size);

	if (err != OK) {
		fprintf(stderr, "%s\n", err_text(err));
		return 1;
	}
	for (size_t i = 0; i < size; i++)
		printf("%02x", out[i]);
	putchar('\n');
	return 0;
}
