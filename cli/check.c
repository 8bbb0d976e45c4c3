/*
 * sauti check-config: the configuration, and what of the node's files can be judged without a
 * passphrase and without a daemon.
 */
#include <jansson.h>
#include <stdio.h>

#include "certs/keystore.h"
#include "certs/x509.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "node/genesis.h"
#include "node/safe_policy.h"
#include "node/swap.h"

struct check {
	const struct node_config *config;
	struct node_paths paths;
	struct boot_keys boot;
	struct genesis genesis;
	struct buf node_der, root_der;
};

static void check_release(struct check *check)
{
	boot_keys_release(&check->boot);
	genesis_release(&check->genesis);
	buf_release(&check->node_der);
	buf_release(&check->root_der);
}

static enum err check_boot(struct check *check, struct errctx *ctx)
{
	const struct node_config *config = check->config;
	struct buf file;
	enum err err;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	err = files_read_private(check->paths.boot, LIMIT_KEYSTORE_SIZE, &file, ctx);
	if (err == OK) {
		err = boot_keys_read(buf_bytes(&file), &check->boot, ctx);
		if (err != OK)
			err_wrap(ctx, err, "'%s'", check->paths.boot);
	}
	buf_wipe(&file);
	if (err != OK)
		return err;
	if (strcmp(check->boot.node, config->name) != 0)
		return err_set(ctx, ERR_INVALID, "%s: [node] name is '%s', '%s' is for '%s'",
			config->file, config->name, check->paths.boot, check->boot.node);
	if (config->network[0] != '\0' && strcmp(check->boot.network, config->network) != 0)
		return err_set(ctx, ERR_INVALID, "%s: [node] network is '%s', '%s' is for '%s'",
			config->file, config->network, check->paths.boot, check->boot.network);
	return OK;
}

static enum err check_proxy(const struct node_config *config, struct errctx *ctx)
{
	struct buf credentials;
	enum err err = config_proxy_credentials(config, &credentials, ctx);

	buf_wipe(&credentials);
	return err;
}

static enum err check_public(const struct node_config *config, struct errctx *ctx)
{
	unsigned gid;

	if (config->public_socket[0] == '\0' || config->public_group[0] == '\0')
		return OK;
	return config_group(config->public_group, &gid, ctx);
}

/* Without a node nobody knows yet who could cosign: then the file alone is judged. */
static enum err check_policy(const struct check *check, bool node, struct errctx *ctx)
{
	struct safe_policy_node self = {check->boot.network, check->config->name};
	struct tlog_policy *policy = NULL;
	enum err err = safe_policy_load(check->config, node ? &self : NULL, &policy, ctx);

	tlog_policy_free(policy);
	return err;
}

static enum err check_keystore(struct check *check, struct errctx *ctx)
{
	struct buf file;
	enum err err;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	err = files_read_private(check->paths.keystore, LIMIT_KEYSTORE_SIZE, &file, ctx);
	buf_wipe(&file);
	return err;
}

static enum err read_certificate(const char *path, struct buf *out, struct errctx *ctx)
{
	struct buf pem;
	enum err err;

	buf_init(&pem, 4 * LIMIT_CERTIFICATE_SIZE + 1);
	err = files_read(path, 4 * LIMIT_CERTIFICATE_SIZE, &pem, ctx);
	if (err == OK) {
		err = certificate_from_pem(buf_bytes(&pem), 0, out, ctx);
		if (err != OK)
			err_wrap(ctx, err, "'%s'", path);
	}
	buf_release(&pem);
	return err;
}

static enum err check_certificates(struct check *check, struct errctx *ctx)
{
	struct certificate_info info;
	struct hash root, expected, spki;
	struct buf der;
	enum err err;

	TRY(read_certificate(check->paths.chain, &check->node_der, ctx));
	TRY(read_certificate(check->paths.root, &check->root_der, ctx));
	err = certificate_read(buf_bytes(&check->node_der), &info, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "'%s'", check->paths.chain);
	buf_init(&der, LIMIT_CERTIFICATE_SIZE);
	err = tls_key_spki(secret_bytes(&check->boot.tls_key), &der, &spki);
	buf_release(&der);
	if (err != OK)
		return err_set(ctx, err, "'%s': %s", check->paths.boot, err_text(err));
	if (!hash_equal(&spki, &info.spki_sha256) || strcmp(info.name, check->boot.node) != 0 ||
		strcmp(info.network, check->boot.network) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "'%s' is not for this node and its key",
			check->paths.chain);
	sha256(buf_bytes(&check->root_der), &root);
	if (!directory_root_certificate(check->genesis.directory, &expected) ||
		!hash_equal(&root, &expected))
		return err_set(ctx, ERR_UNTRUSTED,
			"'%s' is not the root certificate that '%s' names", check->paths.root,
			check->paths.genesis);
	return OK;
}

static enum err check_files(struct check *check, struct errctx *ctx)
{
	const struct member *self;

	TRY(check_boot(check, ctx));
	TRY(check_keystore(check, ctx));
	TRY(genesis_load(check->paths.genesis, &check->genesis, ctx));
	if (strcmp(check->genesis.network, check->boot.network) != 0)
		return err_set(ctx, ERR_INVALID, "'%s' is of network '%s', '%s' of '%s'",
			check->paths.genesis, check->genesis.network, check->paths.boot,
			check->boot.network);
	self = directory_find(check->genesis.directory, bytes_str(check->boot.node));
	if (self == NULL)
		return err_set(ctx, ERR_INVALID, "'%s' does not list '%s'", check->paths.genesis,
			check->boot.node);
	return check_certificates(check, ctx);
}

/* Nothing here is wrong with the configuration; an unlock on this machine would say it, too. */
static json_t *warn(const struct cli *cli, const struct node_config *config)
{
	static const char allowed[] =
		"[lock] unencrypted_swap = allow: this node unlocks even if what is read here may "
		"be written to a disk in clear";
	json_t *list = json_array();
	struct swap_report swap;

	swap_check(&swap_roots_system, &swap);
	if (config->swap_allowed)
		json_array_append_new(list, json_string(allowed));
	for (size_t i = 0; i < swap.count; i++)
		json_array_append_new(list,
			json_sprintf("%s%s", swap.findings[i],
				config->swap_allowed ? "" : ": the node will refuse to unlock"));
	for (size_t i = 0; i < json_array_size(list) && !cli->json; i++)
		cli_note(cli, "warning: %s", json_string_value(json_array_get(list, i)));
	return list;
}

static enum err report(const struct cli *cli, const struct check *check, bool node)
{
	const struct node_config *config = check->config;
	json_t *json = json_pack("{s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:o}", "ok", 1,
		"file", config->file, "node", config->name, "directory", config->directory,
		"listen", config->listen[0] == '\0' ? "none" : config->listen, "socket",
		config->socket, "public_socket",
		config->public_socket[0] == '\0' ? "none" : config->public_socket, "peers",
		(int)config->peer_count, "node_files", node, "warnings", warn(cli, config));

	if (json == NULL)
		return ERR_NOMEM;
	if (cli->json)
		output_json(json);
	else
		printf("%s: ok: node '%s' in '%s', %zu peers\n", config->file, config->name,
			config->directory, config->peer_count);
	json_decref(json);
	if (!node)
		cli_note(cli, "no node in '%s' yet: only the configuration was checked",
			config->directory);
	return OK;
}

static enum err check_config(
	const struct cli *cli, const struct node_config *config, struct errctx *ctx)
{
	CLEANUP(check_release) struct check check = {.config = config};
	bool node;

	buf_init(&check.node_der, LIMIT_CERTIFICATE_SIZE);
	buf_init(&check.root_der, LIMIT_CERTIFICATE_SIZE);
	TRY(config_paths(config, &check.paths, ctx));
	TRY(check_proxy(config, ctx));
	TRY(check_public(config, ctx));
	node = files_exist(check.paths.boot) || files_exist(check.paths.genesis);
	if (node)
		TRY(check_files(&check, ctx));
	TRY(check_policy(&check, node, ctx));
	return report(cli, &check, node);
}

static enum err run_check(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	struct node_config config;
	struct cli with_file = *cli;
	enum err err;

	if (args_at(args, 0) != NULL)
		with_file.config_file = args_at(args, 0);
	TRY(daemon_config(&with_file, &config, ctx));
	err = check_config(cli, &config, ctx);
	config_release(&config);
	return err;
}

const struct cli_command check_commands[] = {
	{"check-config", NULL, "[FILE]", "check a configuration and the node's files",
		"Needs no daemon and no passphrase. Errors name file and line. Without FILE, the\n"
		"node's own configuration.",
		0, 1, NULL, run_check},
	{0},
};
