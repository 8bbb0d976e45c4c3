#include "cli/identity.h"

#include "base/alloc.h"
#include "certs/tls.h"

enum { TRY_ROUNDS_MAX = 16, TRY_BYTES_MAX = 64 * 1024 };

static enum err new_signer_public(const struct secret *seed, struct ed25519_public *ret)
{
	struct signer *signer;

	TRY(signer_new(secret_bytes(seed), &signer));
	*ret = *signer_public(signer);
	signer_free(signer);
	return OK;
}

enum err identity_member_keys(
	const struct boot_keys *boot, const struct node_keys *keys, struct member *ret)
{
	struct buf spki;
	enum err err;

	buf_init(&spki, LIMIT_CERTIFICATE_SIZE);
	err = tls_key_spki(secret_bytes(&boot->tls_key), &spki, &ret->tls_spki);
	buf_release(&spki);
	if (err == OK)
		err = new_signer_public(&keys->node_seed, &ret->node);
	if (err == OK)
		err = new_signer_public(&boot->mirror_seed, &ret->mirror);
	if (err == OK)
		err = new_signer_public(&boot->witness_seed, &ret->witness);
	if (err == OK)
		err = x25519_public(secret_bytes(&keys->complaint_key), &ret->complaint);
	return err;
}

/* Moves what one side wants to say to the other, and lets that act on it. */
static enum err speak(struct tls *from, struct tls *to, struct errctx *ctx)
{
	struct buf wire, plain;
	enum err err;

	buf_init(&wire, TRY_BYTES_MAX);
	buf_init(&plain, TRY_BYTES_MAX);
	err = tls_pull(from, &wire);
	if (err == OK && wire.size > 0)
		err = tls_feed(to, buf_bytes(&wire));
	if (err == OK)
		err = tls_step(to, &plain, ctx);
	buf_release(&wire);
	buf_release(&plain);
	return err;
}

/* The node talks to itself: whoever accepts this chain will be what every peer is. */
static enum err try_chain(const struct boot_keys *boot,
	const struct identity_certificates *certificates, struct errctx *ctx)
{
	static const char *const alpns[] = {TLS_ALPN_SAUTI, NULL};
	struct tls_opts opts = {
		.key = secret_bytes(&boot->tls_key),
		.chain = {certificates->node, certificates->issuing},
		.root = certificates->root,
		.alpns = alpns,
	};
	struct tls_context *context = NULL;
	struct tls *client = NULL, *server = NULL;
	enum err err = tls_context_new(&opts, &context, ctx);

	if (err == OK)
		err = tls_new(context, TLS_CLIENT, &client);
	if (err == OK)
		err = tls_new(context, TLS_SERVER, &server);
	if (err == OK) {
		struct buf none;

		buf_init(&none, 16);
		err = tls_step(client, &none, ctx);
		buf_release(&none);
	}
	for (int i = 0; err == OK && i < TRY_ROUNDS_MAX; i++) {
		err = speak(client, server, ctx);
		if (err == OK)
			err = speak(server, client, ctx);
	}
	if (err == OK && !(tls_ready(client) && tls_ready(server)))
		err = err_set(ctx, ERR_UNTRUSTED, "the handshake did not end");
	tls_free(client);
	tls_free(server);
	tls_context_free(context);
	return err;
}

enum err identity_check(const struct boot_keys *boot, const struct genesis *genesis,
	const struct identity_certificates *certificates, struct errctx *ctx)
{
	struct certificate_info info;
	struct hash expected, spki;
	struct buf der;
	enum err err;

	sha256(certificates->root, &spki);
	if (!directory_root_certificate(genesis->directory, &expected) ||
		!hash_equal(&expected, &spki))
		return err_set(ctx, ERR_UNTRUSTED,
			"the root certificate is not the one the directory names");
	err = certificate_read(certificates->node, &info, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "the node's certificate");
	if (strcmp(info.network, boot->network) != 0 || strcmp(info.name, boot->node) != 0)
		return err_set(ctx, ERR_UNTRUSTED,
			"the certificate is for '%s' in '%s', not for '%s' in '%s'", info.name,
			info.network, boot->node, boot->network);
	buf_init(&der, LIMIT_CERTIFICATE_SIZE);
	err = tls_key_spki(secret_bytes(&boot->tls_key), &der, &spki);
	buf_release(&der);
	if (err != OK)
		return err;
	if (!hash_equal(&spki, &info.spki_sha256))
		return err_set(ctx, ERR_UNTRUSTED, "the certificate is for another key");
	err = try_chain(boot, certificates, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "the certificates do not make a chain that works");
	return OK;
}

enum err identity_check_member(const struct boot_keys *boot, const struct node_keys *keys,
	const struct genesis *genesis, enum role role, const char *country, struct errctx *ctx)
{
	const struct member *member = directory_find(genesis->directory, bytes_str(boot->node));
	struct member own;

	if (member == NULL)
		return err_set(ctx, ERR_UNTRUSTED, "the directory does not list '%s'", boot->node);
	TRY(identity_member_keys(boot, keys, &own));
	if (!hash_equal(&own.tls_spki, &member->tls_spki) ||
		memcmp(&own.node, &member->node, sizeof(own.node)) != 0 ||
		memcmp(&own.mirror, &member->mirror, sizeof(own.mirror)) != 0 ||
		memcmp(&own.witness, &member->witness, sizeof(own.witness)) != 0 ||
		memcmp(&own.complaint, &member->complaint, sizeof(own.complaint)) != 0)
		return err_set(ctx, ERR_UNTRUSTED,
			"the directory lists '%s' with other keys than this node's", boot->node);
	if (member->role != role || strcmp(member->country, country) != 0 || !member->active)
		return err_set(ctx, ERR_UNTRUSTED,
			"the directory lists '%s' as another role or country than invited, or not "
			"as active",
			boot->node);
	return OK;
}

enum err identity_write_certificates(const struct node_paths *paths,
	const struct identity_certificates *certificates, struct errctx *ctx)
{
	struct buf chain, root;
	enum err err;

	buf_init(&chain, 4 * LIMIT_CERTIFICATE_SIZE);
	buf_init(&root, 2 * LIMIT_CERTIFICATE_SIZE);
	err = certificate_pem(certificates->node, &chain);
	if (err == OK)
		err = certificate_pem(certificates->issuing, &chain);
	if (err == OK)
		err = certificate_pem(certificates->root, &root);
	if (err == OK)
		err = files_write(paths->chain, buf_bytes(&chain), 0644, ctx);
	if (err == OK)
		err = files_write(paths->root, buf_bytes(&root), 0644, ctx);
	buf_release(&chain);
	buf_release(&root);
	return err;
}

enum err identity_write_boot(
	const struct node_paths *paths, const struct boot_keys *boot, struct errctx *ctx)
{
	struct buf file;
	enum err err;

	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	err = boot_keys_write(boot, &file);
	if (err == OK)
		err = files_write(paths->boot, buf_bytes(&file), 0600, ctx);
	buf_wipe(&file);
	return err;
}

enum err identity_first_officer(struct node_keys *keys, const char *name, const char *node,
	uint64_t now, struct errctx *ctx)
{
	if (name == NULL)
		name = account_name_valid(bytes_str(node)) ? node : ACCOUNT_NAME_DEFAULT;
	return accounts_add(&keys->accounts, name, ACCOUNT_ROLES_FIRST, now, ctx);
}

enum err identity_write_keystore(const char *path, const struct node_keys *keys, const char *label,
	struct bytes passphrase, struct errctx *ctx)
{
	struct buf file;
	enum err err;

	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	err = keystore_seal(keys, label, passphrase, keystore_cost, &file);
	if (err == OK)
		err = files_write(path, buf_bytes(&file), 0600, ctx);
	else
		err_wrap(ctx, err, "seal '%s'", path);
	buf_wipe(&file);
	return err;
}

enum err identity_write_config(const struct node_config *config, struct errctx *ctx)
{
	struct buf file;
	enum err err;

	buf_init(&file, LIMIT_CONFIG_SIZE);
	config_write(config, &file);
	err = file.err;
	if (err == OK)
		err = files_write(config->file, buf_bytes(&file), 0644, ctx);
	buf_release(&file);
	return err;
}

enum err identity_make_directories(const struct node_paths *paths, struct errctx *ctx)
{
	static const char *const names[] = {"keys", "certs", "run"};

	TRY(files_mkdir(paths->directory, ctx));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[PATH_MAX];

		TRY(files_join(paths->directory, names[i], path, ctx));
		TRY(files_mkdir(path, ctx));
	}
	return OK;
}

enum err identity_take_directory(
	const struct identity_directory *sent, struct genesis *ret, struct errctx *ctx)
{
	struct genesis_parts parts = {
		.network = sent->network,
		.origin = sent->origin,
		.key = sent->key,
		.checkpoint = sent->checkpoint,
		.count = sent->count,
		.known_size = sent->known_size,
		.known_root = sent->known_root,
	};
	struct bytes *views;
	enum err err;

	if (sent->count == 0)
		return err_set(ctx, ERR_MALFORMED, "headquarters sent no directory");
	views = mem_array(sent->count, sizeof(*views));
	if (views == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < sent->count; i++)
		views[i] = codec_bytes(sent->entries[i]);
	parts.entries = views;
	err = genesis_make(&parts, ret, ctx);
	mem_free(views);
	return err;
}
