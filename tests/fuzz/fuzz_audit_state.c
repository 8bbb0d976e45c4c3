/*
 * What somebody left as the state of an audit. What is taken comes out again as it went in, each
 * log is found by its origin, and its tree has the root of its checkpoint. An input that ends in
 * '!' gets a good hash in place of it, so that a fuzzer comes past the first check.
 */
#include <assert.h>

#include "base/text.h"
#include "replication/audit/remembered.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct remembered *r, struct bytes file)
{
	struct buf again;

	for (size_t i = 0; i < remembered_count(r); i++) {
		const struct remembered_log *log = remembered_at(r, i);
		struct compact tree;
		struct hash root;

		assert(remembered_find(r, log->checkpoint.origin.text) == log);
		remembered_tree(log, &tree);
		compact_root(&tree, &root);
		assert(tree.size == log->checkpoint.size);
		assert(hash_equal(&root, &log->checkpoint.root));
	}
	buf_init(&again, LIMIT_AUDIT_STATE);
	assert(remembered_write(r, &again) == OK);
	assert(bytes_equal(buf_bytes(&again), file));
	buf_release(&again);
	if (remembered_verify(r, remembered_network(r), remembered_directory(r), NULL) == OK)
		assert(remembered_verify(r, "x", "", NULL) == ERR_UNTRUSTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct remembered *r;
	struct buf file;

	if (!started) {
		enum err err = crypto_init();

		assert(err == OK);
		started = true;
	}
	buf_init(&file, LIMIT_AUDIT_STATE);
	if (size > 0 && data[size - 1] == '!') {
		char hex[2 * HASH_SIZE + 1];
		struct hash hash;

		sha256(bytes_make(data, size - 1), &hash);
		hex_encode(hash_bytes(&hash), hex);
		buf_put(&file, bytes_make(data, size - 1));
		buf_printf(&file, "sha256 %s\n", hex);
	} else {
		buf_put(&file, bytes_make(data, size));
	}
	if (file.err == OK && remembered_parse(buf_bytes(&file), &r, NULL) == OK) {
		check(r, buf_bytes(&file));
		remembered_free(r);
	}
	buf_release(&file);
	return 0;
}
