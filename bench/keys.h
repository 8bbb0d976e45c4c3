/*
 * keys: a node that is not running, with its own keys, from its directory and its passphrase.
 */
#ifndef BENCH_KEYS_H
#define BENCH_KEYS_H

#include "certs/keystore.h"
#include "node/config.h"
#include "node/genesis.h"

struct own_node {
	struct node_config config;
	struct node_paths paths;
	struct genesis genesis;
	struct node_keys keys;
	struct signer *log, *node;
};
/* Dies when it cannot be opened. */
void own_open(struct own_node *node, const char *directory, const char *passphrase_file);
void own_release(struct own_node *node);

#endif
