/*
 * The manifest of a backup from anybody. What is taken is written back byte for byte. The input is
 * read as it is, and once more with the hash that belongs behind it: no fuzzer guesses that one.
 */
#include <assert.h>

#include "base/text.h"
#include "node/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start(void)
{
	static bool started;

	if (started)
		return;
	started = crypto_init() == OK;
	assert(started);
}

static void try_manifest(struct bytes text)
{
	struct manifest manifest = {0};
	struct errctx ctx = {""};
	struct buf out;
	enum err err = manifest_parse(text, &manifest, &ctx);

	if (err != OK) {
		assert(manifest.logs == NULL);
		assert(err == ERR_NOMEM || ctx.text[0] != '\0');
		return;
	}
	assert(text.size <= LIMIT_BACKUP_MANIFEST);
	buf_init(&out, LIMIT_BACKUP_MANIFEST);
	assert(manifest_write(&manifest, &out) == OK);
	assert(bytes_equal(buf_bytes(&out), text));
	buf_release(&out);
	manifest_release(&manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char hex[2 * HASH_SIZE + 1];
	struct hash hash;
	struct buf sealed;

	start();
	try_manifest(bytes_make(data, size));
	sha256(bytes_make(data, size), &hash);
	hex_encode(hash_bytes(&hash), hex);
	buf_init(&sealed, size + sizeof(hex) + 16);
	buf_put(&sealed, bytes_make(data, size));
	buf_printf(&sealed, "sha256 %s\n", hex);
	if (sealed.err == OK)
		try_manifest(buf_bytes(&sealed));
	buf_release(&sealed);
	return 0;
}
