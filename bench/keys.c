#include "keys.h"

#include <limits.h>

#include "lib.h"

static void unlock(struct own_node *node, const char *passphrase_file, struct errctx *ctx)
{
	struct buf file, passphrase;
	size_t size;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	buf_init(&passphrase, LIMIT_PASSPHRASE + 2);
	check(files_read_private(node->paths.keystore, LIMIT_KEYSTORE_SIZE, &file, ctx), ctx,
		"read the keystore");
	check(files_read(passphrase_file, LIMIT_PASSPHRASE + 1, &passphrase, ctx), ctx,
		"read the passphrase");
	size = passphrase.size;
	if (size > 0 && passphrase.data[size - 1] == '\n')
		size--;
	check(keystore_open(buf_bytes(&file), bytes_make(passphrase.data, size), &node->keys, ctx),
		ctx, "open the keystore");
	buf_wipe(&passphrase);
	buf_wipe(&file);
}

void own_open(struct own_node *node, const char *directory, const char *passphrase_file)
{
	struct errctx ctx = {""};
	char config[PATH_MAX];

	*node = (struct own_node){0};
	check(files_join(directory, "sauti.conf", config, &ctx), &ctx, "find the configuration");
	check(config_load(config, &node->config, &ctx), &ctx, "read the configuration");
	check(config_paths(&node->config, &node->paths, &ctx), &ctx, "find the node's files");
	check(genesis_load(node->paths.genesis, &node->genesis, &ctx), &ctx, "read genesis");
	unlock(node, passphrase_file, &ctx);
	check(signer_new(secret_bytes(&node->keys.log_seed), &node->log), NULL, "log key");
	check(signer_new(secret_bytes(&node->keys.node_seed), &node->node), NULL, "node key");
}

void own_release(struct own_node *node)
{
	signer_free(node->log);
	signer_free(node->node);
	node_keys_release(&node->keys);
	genesis_release(&node->genesis);
	config_release(&node->config);
}
