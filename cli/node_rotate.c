/*
 * sauti node rotate: new keys for this node, which is stopped. Happy path:
 *
 *   1. the keystore is opened; new `node`, `tls`, `mirror` and `witness` keys are made and written
 *      into it beside the present ones, before anything is sent
 *   2. headquarters is dialled as by join, and sends the directory, which is verified against the
 *      genesis file
 *   3. NodeKeysRotated, signed by the present node key and proven by the new one, goes out
 *   4. a certificate and the directory with the new keys come back, and are verified
 *   5. written: certificates, genesis, boot keys; the keystore last, where the new node key takes
 *      the place of the former one
 *
 * Whatever interrupts it, the same command goes on with the same keys: the keystore has them.
 * Prekeys, case keys, the log and the complaint key stay; what was sealed to them opens.
 */
#include "cli/node_rotate.h"

#include <stdio.h>
#include <time.h>

#include "cases/keys/fingerprint.h"
#include "certs/change.h"
#include "certs/join.h"
#include "cli/daemon.h"
#include "cli/identity.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "cli/wire.h"
#include "node/control.h"

struct rotating {
	struct node_config config;
	struct node_paths paths;
	struct genesis genesis, welcome, directory;
	struct buf keystore; /* the file */
	struct secret master;
	struct node_keys keys;
	struct boot_keys boot; /* the new ones */
	struct buf credentials;
	char address[LIMIT_ADDRESS + 1];
	struct wire wire;
};

static void rotating_release(struct rotating *r)
{
	genesis_release(&r->genesis);
	genesis_release(&r->welcome);
	genesis_release(&r->directory);
	buf_wipe(&r->keystore);
	secret_release(&r->master);
	node_keys_release(&r->keys);
	boot_keys_release(&r->boot);
	buf_wipe(&r->credentials);
	wire_close(&r->wire);
	config_release(&r->config);
}

/* ---- step 1: the keys ---- */

/* A daemon that runs would go on with the former keys. */
static enum err check_stopped(const struct rotating *r, struct errctx *ctx)
{
	struct control *control = NULL;
	enum err err = control_connect(r->config.socket, &control, NULL);

	control_close(control);
	return err == OK ? err_set(ctx, ERR_BUSY, "this node runs: stop sautid first") : OK;
}

static enum err open_keystore(
	struct cli *cli, const struct cli_args *args, struct rotating *r, struct errctx *ctx)
{
	CLEANUP(secret_release) struct secret passphrase = {0};
	struct keystore_labels labels;
	const char *officer;

	TRY(cli_officer(cli, args, &officer, ctx));
	TRY(files_read_private(r->paths.keystore, LIMIT_KEYSTORE_SIZE, &r->keystore, ctx));
	TRY(keystore_labels(buf_bytes(&r->keystore), &labels, ctx));
	if (officer == NULL && labels.count != 1)
		return cli_usage(cli, ctx, "several may unlock this node: say --officer NAME");
	TRY(passphrase_get(cli, args, "Passphrase of this node", false, &passphrase, ctx));
	return keystore_open_slot(buf_bytes(&r->keystore),
		officer == NULL ? labels.label[0] : officer, secret_bytes(&passphrase), &r->keys,
		&r->master, ctx);
}

static enum err write_keystore(struct rotating *r, struct errctx *ctx)
{
	CLEANUP(buf_wipe) struct buf file;

	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	TRY(keystore_rewrite(buf_bytes(&r->keystore), &r->master, &r->keys, NULL, &file, ctx));
	TRY(files_write(r->paths.keystore, buf_bytes(&file), 0600, ctx));
	buf_clear(&r->keystore);
	buf_put(&r->keystore, buf_bytes(&file));
	return r->keystore.err;
}

static enum err make_keys(struct rotating *r, struct errctx *ctx)
{
	CLEANUP(buf_wipe) struct buf file;

	buf_init(&file, KEYSTORE_BOOT_MAX);
	if (r->keys.next_node_seed.size > 0)
		return boot_keys_read(secret_bytes(&r->keys.next_boot), &r->boot, ctx);
	TRY(boot_keys_make(r->config.network, r->config.name, &r->boot));
	TRY(boot_keys_write(&r->boot, &file));
	TRY(secret_copy(&r->keys.next_boot, buf_bytes(&file)));
	TRY(secret_random(&r->keys.next_node_seed, ED25519_SEED_SIZE));
	return write_keystore(r, ctx);
}

/* ---- step 2: headquarters ---- */

static const char *headquarters(const struct rotating *r)
{
	const struct member *member;

	for (size_t i = 0; (member = directory_at(r->genesis.directory, i)) != NULL; i++)
		if (member->role == ROLE_HQ)
			return member->name;
	return "";
}

static enum err find_address(
	const struct cli_args *args, struct rotating *r, const char **ret_proxy, struct errctx *ctx)
{
	const char *given = args_option(args, "peer-address"), *name = headquarters(r);

	*ret_proxy = r->config.proxy;
	for (size_t i = 0; i < r->config.peer_count; i++) {
		const struct config_peer *peer = &r->config.peers[i];

		if (strcmp(peer->name, name) != 0)
			continue;
		*ret_proxy = config_proxy(&r->config, peer);
		snprintf(r->address, sizeof(r->address), "%s", peer->address);
	}
	if (given != NULL)
		snprintf(r->address, sizeof(r->address), "%s", given);
	if (r->address[0] == '\0')
		return err_set(ctx, ERR_INVALID,
			"where is headquarters? No [peer %s] has an address: --peer-address", name);
	return OK;
}

static enum err dial(const struct cli_args *args, struct rotating *r, struct errctx *ctx)
{
	struct wire_target target = {.address = r->address};

	TRY(find_address(args, r, &target.proxy, ctx));
	TRY(config_proxy_credentials(&r->config, &r->credentials, ctx));
	target.credentials = buf_bytes(&r->credentials);
	return wire_open(&r->wire, &target, TLS_ALPN_JOIN, ctx);
}

/* The directory only grew since `known`. */
static enum err take_directory(const struct rotating *r, const struct genesis *known,
	ProtobufCBinaryData *entries, size_t count, struct bytes checkpoint, struct genesis *ret,
	struct errctx *ctx)
{
	const struct identity_directory sent = {
		.network = r->genesis.network,
		.origin = r->genesis.origin.text,
		.key = &r->genesis.key,
		.entries = entries,
		.count = count,
		.checkpoint = checkpoint,
		.known_size = known->checkpoint.size,
		.known_root = known->checkpoint.root,
	};

	return identity_take_directory(&sent, ret, ctx);
}

static enum err check_server(const struct rotating *r, struct errctx *ctx)
{
	struct certificate_info server;
	const struct member *member;

	if (!tls_peer(r->wire.tls, &server))
		return err_set(ctx, ERR_UNTRUSTED, "%s showed no certificate", r->address);
	member = directory_find_spki(r->welcome.directory, &server.spki_sha256);
	if (member == NULL || !member->active || member->role != ROLE_HQ)
		return err_set(ctx, ERR_UNTRUSTED, "%s is not headquarters of '%s'", r->address,
			r->genesis.network);
	return OK;
}

static enum err receive_welcome(struct rotating *r, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__JoinWelcome *welcome;
	struct bytes frame;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(wire_receive(&r->wire, &frame, ctx));
	TRY(CODEC_UNPACK(join_welcome, frame, &scan_limits_default, &arena, &welcome, ctx));
	err = take_directory(r, &r->genesis, welcome->entries, welcome->n_entries,
		codec_bytes(welcome->checkpoint), &r->welcome, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "the directory that %s sent", r->address);
	return check_server(r, ctx);
}

/* ---- steps 3 and 4 ---- */

/* What the keystore will have: the new node key in the place of the former one. */
static void step_keys(struct node_keys *keys)
{
	secret_release(&keys->node_seed);
	secret_release(&keys->next_boot);
	keys->node_seed = keys->next_node_seed;
	keys->next_node_seed = (struct secret){0};
}

static enum err rotation_fill(
	const struct rotating *r, struct rotation *rotation, struct errctx *ctx)
{
	struct node_keys fresh = {
		.node_seed = r->keys.next_node_seed, .complaint_key = r->keys.complaint_key};
	struct bytes node;

	TRY(identity_member_keys(&r->boot, &fresh, &rotation->member));
	snprintf(rotation->member.name, sizeof(rotation->member.name), "%s", r->config.name);
	rotation->directory_size = r->welcome.checkpoint.size;
	rotation->made_at = (uint64_t)time(NULL);
	if (!log_origin_read(r->keys.log_origin, &node, &rotation->epoch))
		return err_set(ctx, ERR_CORRUPT, "the keystore's log is none");
	return OK;
}

static void signer_free_p(struct signer **signer)
{
	signer_free(*signer);
}

static enum err send_request(struct rotating *r, struct errctx *ctx)
{
	CLEANUP(signer_free_p) struct signer *fresh = NULL, *signer = NULL;
	CLEANUP(buf_release) struct buf request;
	struct rotation rotation = {.epoch = 0};
	enum err err;

	buf_init(&request, LIMIT_FRAME_SIZE);
	TRY(rotation_fill(r, &rotation, ctx));
	err = signer_new(secret_bytes(&r->keys.next_node_seed), &fresh);
	if (err == OK)
		err = signer_new(secret_bytes(&r->keys.node_seed), &signer);
	if (err == OK)
		err = join_rotation_write(
			&rotation, r->genesis.network, &r->boot, fresh, signer, &request);
	if (err != OK)
		return err_set(ctx, err, "make the request: %s", err_text(err));
	return wire_send(&r->wire, buf_bytes(&request), ctx);
}

static enum err write_node(
	struct rotating *r, const struct identity_certificates *certificates, struct errctx *ctx)
{
	TRY(identity_write_certificates(&r->paths, certificates, ctx));
	TRY(genesis_save(&r->directory, r->paths.genesis, ctx));
	TRY(identity_write_boot(&r->paths, &r->boot, ctx));
	return write_keystore(r, ctx);
}

static enum err take_reply(struct rotating *r, const Sauti__JoinReply *reply, struct errctx *ctx)
{
	const struct identity_certificates certificates = {
		.node = codec_bytes(reply->certificate),
		.issuing = codec_bytes(reply->issuing_certificate),
		.root = codec_bytes(reply->root_certificate),
	};
	const struct member *self;

	if (reply->error[0] != '\0')
		return err_set(ctx, ERR_DENIED, "headquarters refused: %.120s", reply->error);
	TRY(take_directory(r, &r->welcome, reply->entries, reply->n_entries,
		codec_bytes(reply->checkpoint), &r->directory, ctx));
	self = directory_find(r->directory.directory, bytes_str(r->config.name));
	if (self == NULL)
		return err_set(ctx, ERR_UNTRUSTED, "the directory does not list this node");
	step_keys(&r->keys);
	TRY(identity_check_member(
		&r->boot, &r->keys, &r->directory, self->role, self->country, ctx));
	TRY(identity_check(&r->boot, &r->directory, &certificates, ctx));
	return write_node(r, &certificates, ctx);
}

static enum err receive_reply(struct rotating *r, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__JoinReply *reply;
	struct bytes frame;
	enum err err = wire_receive(&r->wire, &frame, ctx);

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (err != OK)
		return err_wrap(ctx, err, "no answer to the request; the same command goes on");
	TRY(CODEC_UNPACK(join_reply, frame, &scan_limits_default, &arena, &reply, ctx));
	return take_reply(r, reply, ctx);
}

/* ---- the command ---- */

static enum err report(const struct cli *cli, const struct rotating *r)
{
	const struct member *self =
		directory_find(r->directory.directory, bytes_str(r->config.name));
	struct fingerprint f;

	fingerprint_make(r->genesis.network, self->name, &self->node, &f);
	if (cli->json) {
		json_t *json = json_pack("{s:s,s:s,s:I}", "node", self->name, "words", f.text,
			"index", (json_int_t)self->keys_index);

		if (json == NULL)
			return ERR_NOMEM;
		output_json(json);
		json_decref(json);
		return OK;
	}
	printf("'%s' has new keys: record %llu of the directory\nwords      %s\n", self->name,
		(unsigned long long)self->keys_index, f.text);
	cli_note(cli,
		"start sautid and unlock. Other offices give keys of cases to this node again "
		"once they have compared the words ('sauti node confirm')");
	return OK;
}

enum err node_rotate(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(rotating_release) struct rotating r = {.wire.fd = -1};

	buf_init(&r.keystore, LIMIT_KEYSTORE_SIZE + 1);
	TRY(daemon_config(cli, &r.config, ctx));
	TRY(config_paths(&r.config, &r.paths, ctx));
	TRY(check_stopped(&r, ctx));
	TRY(genesis_load(r.paths.genesis, &r.genesis, ctx));
	if (strcmp(headquarters(&r), r.config.name) == 0)
		return err_set(ctx, ERR_DENIED, "headquarters does not rotate its keys so");
	TRY(open_keystore(cli, args, &r, ctx));
	TRY(make_keys(&r, ctx));
	TRY(dial(args, &r, ctx));
	TRY(receive_welcome(&r, ctx));
	TRY(send_request(&r, ctx));
	TRY(receive_reply(&r, ctx));
	return report(cli, &r);
}

const struct cli_option node_rotate_options[] = {
	{"peer-address", "ADDRESS", "dial headquarters there, not where sauti.conf says", false},
	OFFICER_OPTION("whose passphrase it is (default: the only one who may unlock)"),
	PASSPHRASE_OPTION,
	{0},
};
