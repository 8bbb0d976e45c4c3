/*
 * sauti init: makes a network and its headquarters node: the root and the issuing CA, the node's
 * keys and certificate, and the directory with its first three records under a signed checkpoint.
 * Everything is made and checked in memory first, then written; sauti.conf comes last.
 */
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "base/text.h"
#include "certs/record.h"
#include "certs/x509.h"
#include "cli/identity.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "node/genesis.h"

enum { RECORDS = 3, ENTRIES_MAX = 16 * 1024 };

/* Everything that init makes. */
struct network {
	const char *name;
	const char *node;
	const char *officer; /* NULL: not said */
	uint64_t now;
	struct node_paths paths;
	char root_dir[PATH_MAX], root_key_path[PATH_MAX], root_pem_path[PATH_MAX];
	struct secret passphrase;
	struct node_keys root; /* root_key alone */
	struct boot_keys boot;
	struct node_keys keys;
	struct buf root_der, issuing_der, node_der;
	struct genesis genesis;
};

static void network_release(struct network *network)
{
	secret_release(&network->passphrase);
	node_keys_release(&network->root);
	boot_keys_release(&network->boot);
	node_keys_release(&network->keys);
	buf_release(&network->root_der);
	buf_release(&network->issuing_der);
	buf_release(&network->node_der);
	genesis_release(&network->genesis);
}

static enum err make_keys(struct network *network)
{
	struct origin own, directory;
	uint8_t random[16];

	TRY(tls_key_new(&network->root.root_key));
	TRY(boot_keys_make(network->name, network->node, &network->boot));
	TRY(random_bytes(random, sizeof(random)));
	TRY(origin_make(bytes_str(network->name), bytes_str(network->node), 1, random, &own));
	TRY(origin_make(
		bytes_str(network->name), bytes_str("directory"), 1, random + 8, &directory));
	TRY(node_keys_make(own.text, &network->keys));
	TRY(identity_first_officer(
		&network->keys, network->officer, network->node, network->now, NULL));
	TRY(secret_random(&network->keys.directory_seed, ED25519_SEED_SIZE));
	strcpy(network->keys.directory_origin, directory.text);
	return tls_key_new(&network->keys.issuing_key);
}

static enum err make_certificates(struct network *network)
{
	struct bytes root_key = secret_bytes(&network->root.root_key);
	struct bytes issuing_key = secret_bytes(&network->keys.issuing_key);
	struct buf spki;
	struct hash hash;
	enum err err;

	buf_init(&spki, LIMIT_CERTIFICATE_SIZE);
	err = root_certificate_make(network->name, root_key, network->now, &network->root_der);
	if (err == OK)
		err = tls_key_spki(issuing_key, &spki, &hash);
	if (err == OK)
		err = issuing_certificate_make(network->name, buf_bytes(&spki), root_key,
			buf_bytes(&network->root_der), network->now, &network->issuing_der);
	buf_clear(&spki);
	if (err == OK)
		err = tls_key_spki(secret_bytes(&network->boot.tls_key), &spki, &hash);
	if (err == OK)
		err = node_certificate_make(network->name, network->node, buf_bytes(&spki),
			issuing_key, buf_bytes(&network->issuing_der), network->now,
			&network->node_der);
	buf_release(&spki);
	return err;
}

/* The directory's first records, one after the other in `out`; ends[i] is where record i ends. */
static enum err write_records(const struct network *network, const struct signer *node,
	const struct signer *directory, struct buf *out, size_t ends[RECORDS])
{
	struct log_opened opened = {
		.origin = network->keys.directory_origin,
		.previous_origin = "",
		.log_key = *signer_public(directory),
		.opened_at = network->now,
	};
	struct network_created created = {
		.network = network->name,
		.hq = network->node,
		.hq_node = *signer_public(node),
		.created_at = network->now,
	};
	struct member hq = {.role = ROLE_HQ, .active = true, .made_at = network->now};
	struct buf body;
	enum err err;

	sha256(buf_bytes(&network->root_der), &created.root_certificate);
	strcpy(hq.name, network->node);
	TRY(identity_member_keys(&network->boot, &network->keys, &hq));
	TRY(log_opened_write(out, &opened, node));
	ends[0] = out->size;
	TRY(network_created_write(out, &created, node));
	ends[1] = out->size;
	buf_init(&body, LIMIT_ENTRY_SIZE);
	err = node_admitted_body(&body, network->name, &hq);
	if (err == OK)
		err = record_write(
			out, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, buf_bytes(&body), node);
	buf_release(&body);
	ends[2] = out->size;
	return err;
}

static enum err sign_directory(const struct network *network, const struct signer *directory,
	const struct bytes entries[RECORDS], struct buf *out)
{
	struct checkpoint checkpoint = {.size = RECORDS};
	struct compact compact;

	TRY(origin_parse(bytes_str(network->keys.directory_origin), &checkpoint.origin, NULL));
	compact_init(&compact);
	for (size_t i = 0; i < RECORDS; i++) {
		struct hash leaf;

		tree_leaf(entries[i], &leaf);
		compact_append(&compact, &leaf);
	}
	compact_root(&compact, &checkpoint.root);
	return checkpoint_sign(out, &checkpoint, directory);
}

static enum err fill_genesis(struct network *network, const struct signer *node,
	const struct signer *directory, struct errctx *ctx)
{
	struct genesis_parts parts = {
		.network = network->name,
		.origin = network->keys.directory_origin,
		.key = signer_public(directory),
		.count = RECORDS,
	};
	struct bytes entries[RECORDS];
	size_t ends[RECORDS], start = 0;
	struct buf records, note;
	enum err err;

	buf_init(&records, ENTRIES_MAX);
	buf_init(&note, LIMIT_NOTE_SIZE);
	err = write_records(network, node, directory, &records, ends);
	for (size_t i = 0; err == OK && i < RECORDS; i++) {
		entries[i] = bytes_make(records.data + start, ends[i] - start);
		start = ends[i];
	}
	if (err == OK)
		err = sign_directory(network, directory, entries, &note);
	parts.entries = entries;
	parts.checkpoint = buf_bytes(&note);
	if (err == OK)
		err = genesis_make(&parts, &network->genesis, ctx);
	buf_release(&records);
	buf_release(&note);
	return err;
}

static enum err make_genesis(struct network *network, struct errctx *ctx)
{
	struct signer *node = NULL, *directory = NULL;
	enum err err = signer_new(secret_bytes(&network->keys.node_seed), &node);

	if (err == OK)
		err = signer_new(secret_bytes(&network->keys.directory_seed), &directory);
	if (err == OK)
		err = fill_genesis(network, node, directory, ctx);
	signer_free(node);
	signer_free(directory);
	return err;
}

static struct identity_certificates certificates_of(const struct network *network)
{
	return (struct identity_certificates){
		.node = buf_bytes(&network->node_der),
		.issuing = buf_bytes(&network->issuing_der),
		.root = buf_bytes(&network->root_der),
	};
}

/* What was made is judged as if a stranger had sent it. */
static enum err make_all(struct network *network, struct errctx *ctx)
{
	struct identity_certificates certificates;
	enum err err = make_keys(network);

	if (err == OK)
		err = make_certificates(network);
	if (err != OK)
		return err_set(ctx, err, "make keys and certificates: %s", err_text(err));
	TRY(make_genesis(network, ctx));
	certificates = certificates_of(network);
	TRY(identity_check(&network->boot, &network->genesis, &certificates, ctx));
	return identity_check_member(
		&network->boot, &network->keys, &network->genesis, ROLE_HQ, "", ctx);
}

static enum err write_root(const struct network *network, struct errctx *ctx)
{
	struct buf pem;
	enum err err;

	TRY(files_mkdir(network->root_dir, ctx));
	TRY(identity_write_keystore(network->root_key_path, &network->root, "root",
		secret_bytes(&network->passphrase), ctx));
	buf_init(&pem, 2 * LIMIT_CERTIFICATE_SIZE);
	err = certificate_pem(buf_bytes(&network->root_der), &pem);
	if (err == OK)
		err = files_write(network->root_pem_path, buf_bytes(&pem), 0644, ctx);
	buf_release(&pem);
	return err;
}

static enum err write_all(const struct network *network, const char *listen, struct errctx *ctx)
{
	struct identity_certificates certificates = certificates_of(network);
	struct node_config config;

	TRY(identity_make_directories(&network->paths, ctx));
	TRY(write_root(network, ctx));
	TRY(identity_write_boot(&network->paths, &network->boot, ctx));
	TRY(identity_write_keystore(network->paths.keystore, &network->keys,
		network->keys.accounts.list[0].name, secret_bytes(&network->passphrase), ctx));
	TRY(identity_write_certificates(&network->paths, &certificates, ctx));
	TRY(genesis_save(&network->genesis, network->paths.genesis, ctx));
	TRY(config_init(&config, network->paths.config, ctx));
	strcpy(config.name, network->node);
	strcpy(config.network, network->name);
	if (listen != NULL)
		strcpy(config.listen, listen);
	return identity_write_config(&config, ctx);
}

static enum err report(const struct cli *cli, const struct network *network)
{
	char fingerprint[2 * HASH_SIZE + 1];
	struct hash hash;
	json_t *json;

	sha256(buf_bytes(&network->root_der), &hash);
	hex_encode(hash_bytes(&hash), fingerprint);
	json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "network", network->name, "node",
		network->node, "directory", network->paths.directory, "directory_origin",
		network->keys.directory_origin, "root_certificate_sha256", fingerprint, "root_key",
		network->root_key_path);
	if (json == NULL)
		return ERR_NOMEM;
	if (cli->json)
		output_json(json);
	else
		printf("network           %s\nnode              %s\ndirectory         %s\n"
		       "root certificate  %s\nroot key          %s\n",
			network->name, network->node, network->paths.directory, fingerprint,
			network->root_key_path);
	json_decref(json);
	cli_note(cli,
		"whoever has the root key can replace headquarters: move '%s' to a medium that is "
		"kept offline, in two places, and remove it here",
		network->root_key_path);
	return OK;
}

static enum err prepare(
	struct cli *cli, const struct cli_args *args, struct network *network, struct errctx *ctx)
{
	const char *root_dir = args_option(args, "root-dir");
	bool empty = false;

	TRY(files_paths(cli->dir, &network->paths, ctx));
	TRY(files_dir_empty(cli->dir, &empty, ctx));
	if (!empty)
		return err_set(ctx, ERR_EXISTS,
			"'%s' is not empty: a node there already? Choose another --dir, or remove "
			"what an interrupted init left",
			cli->dir);
	if (root_dir == NULL)
		TRY(files_join(cli->dir, "ca", network->root_dir, ctx));
	else
		TRY(files_join(".", root_dir, network->root_dir, ctx));
	TRY(files_join(network->root_dir, "root.key", network->root_key_path, ctx));
	TRY(files_join(network->root_dir, "root.pem", network->root_pem_path, ctx));
	if (files_exist(network->root_key_path))
		return err_set(ctx, ERR_EXISTS,
			"'%s' is there already: the root of another "
			"network",
			network->root_key_path);
	return OK;
}

static enum err check_arguments(struct cli *cli, const struct cli_args *args,
	const struct network *network, struct errctx *ctx)
{
	const char *listen = args_option(args, "listen");
	struct net_address address;
	struct errctx why = {""};

	if (cli->config_file != NULL)
		return cli_usage(cli, ctx, "init writes DIR/sauti.conf: use --dir, not --config");
	if (!network_name_valid(bytes_str(network->name)))
		return cli_usage(cli, ctx, "'%.80s' is no network name: like a host, ovra.example",
			network->name);
	if (!node_name_valid(bytes_str(network->node)) || node_name_reserved(network->node))
		return cli_usage(cli, ctx, "'%.80s' is no node name", network->node);
	if (listen != NULL && strcmp(listen, "none") == 0)
		return cli_usage(cli, ctx, "--listen: headquarters must be reachable");
	if (listen != NULL && config_address(listen, true, &address, &why) != OK)
		return cli_usage(cli, ctx, "--listen '%.80s': %s", listen, why.text);
	return OK;
}

static enum err run_init(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(network_release)
	struct network network = {
		.name = args_at(args, 0),
		.node = "hq",
		.now = (uint64_t)time(NULL),
	};

	if (args_option(args, "name") != NULL)
		network.node = args_option(args, "name");
	buf_init(&network.root_der, LIMIT_CERTIFICATE_SIZE);
	buf_init(&network.issuing_der, LIMIT_CERTIFICATE_SIZE);
	buf_init(&network.node_der, LIMIT_CERTIFICATE_SIZE);
	TRY(check_arguments(cli, args, &network, ctx));
	TRY(cli_officer(cli, args, &network.officer, ctx));
	TRY(prepare(cli, args, &network, ctx));
	TRY(passphrase_get(cli, args, "New passphrase for headquarters' keys", true,
		&network.passphrase, ctx));
	TRY(make_all(&network, ctx));
	TRY(write_all(&network, args_option(args, "listen"), ctx));
	return report(cli, &network);
}

static const struct cli_option options[] = {
	{"name", "NAME", "the node's name (default: hq)", false},
	{"listen", "ADDRESS", "where it listens (default: " CONFIG_LISTEN_DEFAULT ")", false},
	{"root-dir", "DIR", "where the root key goes (default: ca in the node's directory)", false},
	OFFICER_OPTION("the first officer's name (default: the node's)"),
	PASSPHRASE_OPTION,
	{0},
};

const struct cli_command init_commands[] = {
	{"init", NULL, "NETWORK", "make a network and its headquarters node",
		"Makes the root and the issuing CA, the keys of the node, its certificate and the\n"
		"directory of the network in DIR, which must be empty. The passphrase seals the\n"
		"node's keys and the root key. Move the root key away afterwards.",
		1, 1, options, run_init},
	{0},
};
