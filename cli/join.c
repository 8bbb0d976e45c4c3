/*
 * sauti join: makes an invited node. Happy path:
 *
 *   1. the keys are made and written down, before anything is sent
 *   2. headquarters is dialled (ALPN sauti-join/1) and sends the directory
 *   3. the directory is verified against the token, the server's key against the directory
 *   4. our keys go out with the proof that we hold the token's secret
 *   5. certificates and the directory with us in it come back, and are verified
 *   6. they are written; sauti.conf last; then keys/joining is removed
 *
 * Whatever interrupts it, the same command with the same token goes on with the same keys: what
 * keys/joining says. It holds the token's hash and the time of the first try, which is part of
 * what is signed.
 */
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/keys/fingerprint.h"
#include "certs/join.h"
#include "cli/identity.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "cli/wire.h"
#include "node/genesis.h"
#include "proto/codec.h"

#define JOINING_HEAD "sauti-joining-1"
enum { JOINING_SIZE_MAX = 256 };

struct joining {
	struct join_token token;
	struct node_paths paths;
	struct secret passphrase;
	struct boot_keys boot;
	struct node_keys keys;
	uint64_t made_at;                  /* of the first try */
	const char *listen, *peer_address; /* as given; may be NULL */
	const char *officer;               /* as given; may be NULL */
	const char *proxy;                 /* "": none */
	const char *credentials_file;      /* for it; may be NULL */
	struct buf credentials;
	char address[LIMIT_ADDRESS + 1]; /* that answered */
	struct wire wire;
	struct genesis welcome, directory; /* before and after our admission */
};

static void joining_release(struct joining *joining)
{
	wipe(&joining->token, sizeof(joining->token));
	secret_release(&joining->passphrase);
	boot_keys_release(&joining->boot);
	node_keys_release(&joining->keys);
	buf_wipe(&joining->credentials);
	wire_close(&joining->wire);
	genesis_release(&joining->welcome);
	genesis_release(&joining->directory);
}

/* ---- the token ---- */

static enum err read_stdin(struct buf *out, struct errctx *ctx)
{
	uint8_t *room = buf_reserve(out, LIMIT_JOIN_TOKEN + 1);
	size_t n;

	if (room == NULL)
		return out->err;
	n = fread(room, 1, LIMIT_JOIN_TOKEN + 1, stdin);
	if (n > LIMIT_JOIN_TOKEN)
		return err_set(
			ctx, ERR_LIMIT, "the token is longer than %d characters", LIMIT_JOIN_TOKEN);
	out->size = n;
	return OK;
}

static enum err read_token(const char *argument, struct join_token *ret, struct errctx *ctx)
{
	struct buf text;
	enum err err = OK;

	buf_init(&text, LIMIT_JOIN_TOKEN + 2);
	if (strcmp(argument, "-") == 0)
		err = read_stdin(&text, ctx);
	else if (argument[0] == '@')
		err = files_read(argument + 1, LIMIT_JOIN_TOKEN, &text, ctx);
	else
		buf_put_str(&text, argument);
	if (err == OK)
		err = text.err;
	if (err == OK)
		err = join_token_read(buf_bytes(&text), ret, ctx);
	if (err != OK)
		err_wrap(ctx, err, "token");
	buf_wipe(&text);
	return err;
}

/* ---- what an interrupted join left: keys/joining ---- */

static void token_hash(const struct join_token *token, char ret[2 * HASH_SIZE + 1])
{
	struct bytes parts[] = {
		bytes_str(JOINING_HEAD),
		bytes_make(token->secret, sizeof(token->secret)),
		bytes_str(token->network),
		bytes_str("/"),
		bytes_str(token->name),
	};
	struct hash hash;

	sha256_parts(parts, sizeof(parts) / sizeof(parts[0]), &hash);
	hex_encode(hash_bytes(&hash), ret);
}

static enum err write_state(const struct joining *joining, struct errctx *ctx)
{
	char hash[2 * HASH_SIZE + 1];
	struct buf text;
	enum err err;

	buf_init(&text, JOINING_SIZE_MAX);
	token_hash(&joining->token, hash);
	buf_printf(&text, JOINING_HEAD "\n%s\n%llu\n", hash, (unsigned long long)joining->made_at);
	err = text.err;
	if (err == OK)
		err = files_write(joining->paths.joining, buf_bytes(&text), 0600, ctx);
	buf_release(&text);
	return err;
}

static enum err parse_state(struct joining *joining, struct bytes text, struct errctx *ctx)
{
	char expected[2 * HASH_SIZE + 1];
	const uint8_t *end;
	struct bytes lines[3];

	for (size_t i = 0; i < 3; i++) {
		end = memchr(text.data, '\n', text.size);
		if (text.size == 0 || end == NULL)
			return err_set(ctx, ERR_CORRUPT, "'%s' is damaged", joining->paths.joining);
		lines[i] = bytes_make(text.data, (size_t)(end - text.data));
		text = bytes_make(end + 1, text.size - lines[i].size - 1);
	}
	token_hash(&joining->token, expected);
	if (!bytes_equal_str(lines[0], JOINING_HEAD) ||
		decimal_parse(lines[2], UINT32_MAX, &joining->made_at) != OK)
		return err_set(ctx, ERR_CORRUPT, "'%s' is damaged", joining->paths.joining);
	if (!bytes_equal_str(lines[1], expected))
		return err_set(ctx, ERR_EXISTS,
			"'%s' holds a join that was interrupted, with another token: go on with "
			"that one, or remove the directory",
			joining->paths.directory);
	return OK;
}

static enum err read_state(struct joining *joining, struct errctx *ctx)
{
	struct buf text;
	enum err err;

	buf_init(&text, JOINING_SIZE_MAX + 1);
	err = files_read_private(joining->paths.joining, JOINING_SIZE_MAX, &text, ctx);
	if (err == OK)
		err = parse_state(joining, buf_bytes(&text), ctx);
	buf_release(&text);
	return err;
}

/* ---- step 1: the keys ---- */

static enum err make_keys(struct joining *joining, struct errctx *ctx)
{
	const struct join_token *token = &joining->token;
	struct origin origin;
	uint8_t random[8];
	enum err err = boot_keys_make(token->network, token->name, &joining->boot);

	if (err == OK)
		err = random_bytes(random, sizeof(random));
	if (err == OK)
		err = origin_make(bytes_str(token->network), bytes_str(token->name),
			token->epoch + 1, random, &origin);
	if (err == OK && token->epoch > 0)
		memcpy(joining->boot.log_origin, origin.text, strlen(origin.text) + 1);
	if (err == OK)
		err = node_keys_make(origin.text, &joining->keys);
	if (err == OK)
		err = identity_first_officer(
			&joining->keys, joining->officer, token->name, joining->made_at, ctx);
	if (err != OK)
		return err_set(ctx, err, "make keys: %s", err_text(err));
	TRY(identity_write_boot(&joining->paths, &joining->boot, ctx));
	return identity_write_keystore(joining->paths.keystore, &joining->keys,
		joining->keys.accounts.list[0].name, secret_bytes(&joining->passphrase), ctx);
}

static enum err read_keys(struct joining *joining, struct errctx *ctx)
{
	struct buf file;
	enum err err;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	err = files_read_private(joining->paths.boot, LIMIT_KEYSTORE_SIZE, &file, ctx);
	if (err == OK) {
		err = boot_keys_read(buf_bytes(&file), &joining->boot, ctx);
		if (err != OK)
			err_wrap(ctx, err, "'%s'", joining->paths.boot);
	}
	buf_wipe(&file);
	if (err == OK)
		err = files_read_private(joining->paths.keystore, LIMIT_KEYSTORE_SIZE, &file, ctx);
	if (err == OK) {
		err = keystore_open(
			buf_bytes(&file), secret_bytes(&joining->passphrase), &joining->keys, ctx);
		if (err != OK)
			err_wrap(ctx, err, "'%s'", joining->paths.keystore);
	}
	buf_wipe(&file);
	return err;
}

/* A new directory, or one in which the same join stopped half-way. Nothing was ever sent before
 * all three files were there, so with one missing all keys are made anew. */
static enum err prepare_keys(
	struct cli *cli, const struct cli_args *args, struct joining *joining, struct errctx *ctx)
{
	const struct node_paths *paths = &joining->paths;
	bool resume = files_exist(paths->joining), empty = false;
	bool complete = files_exist(paths->boot) && files_exist(paths->keystore);

	if (files_exist(paths->config) && !resume)
		return err_set(
			ctx, ERR_EXISTS, "there is a node in '%s' already", paths->directory);
	if (resume) {
		TRY(read_state(joining, ctx));
	} else {
		TRY(files_dir_empty(paths->directory, &empty, ctx));
		if (!empty)
			return err_set(ctx, ERR_EXISTS, "'%s' is not empty", paths->directory);
	}
	TRY(passphrase_get(cli, args,
		resume && complete ? "Passphrase of this node" : "New passphrase for this node",
		!(resume && complete), &joining->passphrase, ctx));
	if (resume && complete)
		return read_keys(joining, ctx);
	TRY(identity_make_directories(paths, ctx));
	joining->made_at = (uint64_t)time(NULL);
	TRY(write_state(joining, ctx));
	return make_keys(joining, ctx);
}

/* ---- steps 2 and 3: headquarters and its directory ---- */

static enum err open_wire(struct joining *joining, struct errctx *ctx)
{
	struct wire_target target = {.address = joining->address,
		.proxy = joining->proxy,
		.credentials = buf_bytes(&joining->credentials)};

	return wire_open(&joining->wire, &target, TLS_ALPN_JOIN, ctx);
}

static enum err dial(struct cli *cli, struct joining *joining, struct errctx *ctx)
{
	enum { ADDRESSES = sizeof(joining->token.addresses) / sizeof(joining->token.addresses[0]) };
	enum err err = ERR_UNREACHABLE;

	if (joining->peer_address != NULL) {
		strcpy(joining->address, joining->peer_address);
		return open_wire(joining, ctx);
	}
	err_set(ctx, err, "the token names no address of headquarters: use --peer-address");
	for (size_t i = 0; i < ADDRESSES && joining->token.addresses[i][0] != '\0'; i++) {
		if (i > 0) {
			cli_note(cli, "%s", err_message(ctx, err));
			wire_close(&joining->wire);
		}
		strcpy(joining->address, joining->token.addresses[i]);
		err = open_wire(joining, ctx);
		if (err == OK)
			return OK;
	}
	return err;
}

struct known {
	uint64_t size;
	struct hash root;
};

/* Entries and checkpoint from headquarters, judged with what is known. */
static enum err take_directory(const struct joining *joining, ProtobufCBinaryData *entries,
	size_t count, struct bytes checkpoint, const struct known *known, struct genesis *ret,
	struct errctx *ctx)
{
	const struct identity_directory sent = {
		.network = joining->token.network,
		.origin = joining->token.directory_origin,
		.key = &joining->token.directory_key,
		.entries = entries,
		.count = count,
		.checkpoint = checkpoint,
		.known_size = known->size,
		.known_root = known->root,
	};

	return identity_take_directory(&sent, ret, ctx);
}

static enum err receive_welcome(struct joining *joining, struct errctx *ctx)
{
	struct known known = {joining->token.directory_size, joining->token.directory_root};
	struct certificate_info server;
	Sauti__JoinWelcome *welcome;
	struct arena arena;
	struct bytes frame;
	enum err err;

	TRY(wire_receive(&joining->wire, &frame, ctx));
	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = CODEC_UNPACK(join_welcome, frame, &scan_limits_default, &arena, &welcome, ctx);
	if (err == OK)
		err = take_directory(joining, welcome->entries, welcome->n_entries,
			codec_bytes(welcome->checkpoint), &known, &joining->welcome, ctx);
	arena_release(&arena);
	if (err != OK)
		return err_wrap(ctx, err, "the directory that %s sent", joining->address);
	if (!tls_peer(joining->wire.tls, &server))
		return err_set(ctx, ERR_UNTRUSTED, "%s showed no certificate", joining->address);
	err = join_welcome_check(
		&joining->token, joining->welcome.directory, &server.spki_sha256, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "%s is not headquarters of '%s'", joining->address,
			joining->token.network);
	return OK;
}

/* ---- steps 4 and 5: the request and the reply ---- */

static enum err send_request(struct joining *joining, struct errctx *ctx)
{
	uint8_t exporter[JOIN_EXPORTER_SIZE];
	struct buf request;
	enum err err;

	TRY(tls_export(joining->wire.tls, JOIN_EXPORTER_LABEL, exporter, sizeof(exporter)));
	buf_init(&request, LIMIT_FRAME_SIZE);
	err = join_request_write(&joining->token, &joining->boot, &joining->keys, exporter,
		joining->made_at, &request);
	if (err == OK)
		err = wire_send(&joining->wire, buf_bytes(&request), ctx);
	else
		err_set(ctx, err, "make the request: %s", err_text(err));
	buf_release(&request);
	wipe(exporter, sizeof(exporter));
	return err;
}

static enum err write_node(struct joining *joining,
	const struct identity_certificates *certificates, struct errctx *ctx)
{
	struct node_config config;
	enum err err;

	TRY(identity_write_certificates(&joining->paths, certificates, ctx));
	TRY(genesis_save(&joining->directory, joining->paths.genesis, ctx));
	TRY(config_init(&config, joining->paths.config, ctx));
	strcpy(config.name, joining->token.name);
	strcpy(config.network, joining->token.network);
	if (joining->listen != NULL)
		strcpy(config.listen, strcmp(joining->listen, "none") == 0 ? "" : joining->listen);
	strcpy(config.proxy, joining->proxy);
	if (joining->credentials_file != NULL)
		strcpy(config.proxy_credentials, joining->credentials_file);
	err = OK;
	for (size_t i = 0; err == OK; i++) {
		const struct member *member = directory_at(joining->directory.directory, i);

		if (member == NULL)
			break;
		if (member->role == ROLE_HQ && member->active)
			err = config_add_peer(&config, member->name, joining->address, ctx);
	}
	if (err == OK)
		err = identity_write_config(&config, ctx);
	config_release(&config);
	if (err == OK)
		err = files_remove(joining->paths.joining, ctx);
	return err;
}

static enum err take_reply(
	struct joining *joining, const Sauti__JoinReply *reply, struct errctx *ctx)
{
	struct known known = {joining->welcome.checkpoint.size, joining->welcome.checkpoint.root};
	struct identity_certificates certificates = {
		.node = codec_bytes(reply->certificate),
		.issuing = codec_bytes(reply->issuing_certificate),
		.root = codec_bytes(reply->root_certificate),
	};
	char shown[200];

	if (reply->error[0] != '\0')
		return err_set(ctx, ERR_DENIED, "headquarters refused: %s",
			text_escape(bytes_str(reply->error), shown, sizeof(shown)));
	TRY(take_directory(joining, reply->entries, reply->n_entries,
		codec_bytes(reply->checkpoint), &known, &joining->directory, ctx));
	TRY(identity_check_member(&joining->boot, &joining->keys, &joining->directory,
		joining->token.role, joining->token.country, ctx));
	TRY(identity_check(&joining->boot, &joining->directory, &certificates, ctx));
	return write_node(joining, &certificates, ctx);
}

static enum err receive_reply(struct joining *joining, struct errctx *ctx)
{
	Sauti__JoinReply *reply;
	struct arena arena;
	struct bytes frame;
	enum err err = wire_receive(&joining->wire, &frame, ctx);

	if (err != OK)
		return err_wrap(ctx, err, "no answer to the request; the same command tries again");
	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = CODEC_UNPACK(join_reply, frame, &scan_limits_default, &arena, &reply, ctx);
	if (err == OK)
		err = take_reply(joining, reply, ctx);
	arena_release(&arena);
	return err;
}

/* ---- the command ---- */

static enum err check_proxy(
	struct cli *cli, const struct cli_args *args, struct joining *joining, struct errctx *ctx)
{
	const char *proxy = args_option(args, "proxy");
	const char *file = args_option(args, "proxy-credentials");
	struct node_config config;
	struct net_address address;
	struct errctx why = {""};

	joining->proxy = proxy == NULL ? "" : proxy;
	joining->credentials_file = file;
	if (proxy != NULL && config_address(proxy, false, &address, &why) != OK)
		return cli_usage(cli, ctx, "--proxy '%.80s': %s", proxy, why.text);
	if (file == NULL)
		return OK;
	if (proxy == NULL || file[0] != '/' || strlen(file) >= sizeof(config.proxy_credentials))
		return cli_usage(cli, ctx,
			"--proxy-credentials goes with --proxy, and wants an absolute path");
	TRY(config_init(&config, file, ctx));
	strcpy(config.proxy_credentials, file);
	return config_proxy_credentials(&config, &joining->credentials, ctx);
}

static enum err check_arguments(
	struct cli *cli, const struct cli_args *args, struct joining *joining, struct errctx *ctx)
{
	const char *country = args_option(args, "country");
	struct net_address address;
	struct errctx why = {""};

	joining->listen = args_option(args, "listen");
	joining->peer_address = args_option(args, "peer-address");
	if (cli->config_file != NULL)
		return cli_usage(cli, ctx, "join writes DIR/sauti.conf: use --dir, not --config");
	if (joining->listen != NULL && strcmp(joining->listen, "none") != 0 &&
		config_address(joining->listen, true, &address, &why) != OK)
		return cli_usage(cli, ctx, "--listen '%.80s': %s", joining->listen, why.text);
	if (joining->peer_address != NULL &&
		config_address(joining->peer_address, false, &address, &why) != OK)
		return cli_usage(
			cli, ctx, "--peer-address '%.80s': %s", joining->peer_address, why.text);
	TRY(check_proxy(cli, args, joining, ctx));
	TRY(read_token(args_at(args, 0), &joining->token, ctx));
	if (country != NULL && strcmp(country, joining->token.country) != 0)
		return err_set(ctx, ERR_INVALID, "the token is for country '%s', not '%.8s'",
			joining->token.country, country);
	return files_paths(cli->dir, &joining->paths, ctx);
}

static enum err own_fingerprint(const struct joining *joining, struct fingerprint *ret)
{
	struct member member;

	TRY(identity_member_keys(&joining->boot, &joining->keys, &member));
	fingerprint_make(joining->token.network, joining->token.name, &member.node, ret);
	return OK;
}

static enum err report(const struct cli *cli, const struct joining *joining)
{
	struct fingerprint f;
	json_t *json;

	TRY(own_fingerprint(joining, &f));
	json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "network",
		joining->token.network, "node", joining->token.name, "role",
		role_name(joining->token.role), "country", joining->token.country, "directory",
		joining->paths.directory, "log", joining->keys.log_origin, "words", f.text,
		"replaces", joining->token.epoch > 0);
	if (json == NULL)
		return ERR_NOMEM;
	if (cli->json)
		output_json(json);
	else
		printf("network    %s\nnode       %s\nrole       %s\ncountry    %s\n"
		       "directory  %s\nlog        %s\nwords      %s\n",
			joining->token.network, joining->token.name, role_name(joining->token.role),
			joining->token.country, joining->paths.directory, joining->keys.log_origin,
			f.text);
	if (joining->token.epoch > 0)
		cli_note(cli, "this machine takes the place of the former one. Its entries come "
			      "back from "
			      "other nodes once this one runs and is unlocked; other offices give "
			      "keys of "
			      "cases to it once they have compared the words above ('sauti node "
			      "confirm')");
	json_decref(json);
	return OK;
}

static enum err run_join(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(joining_release) struct joining joining = {.wire.fd = -1};

	TRY(check_arguments(cli, args, &joining, ctx));
	TRY(cli_officer(cli, args, &joining.officer, ctx));
	if (joining.token.expires_at < (uint64_t)time(NULL))
		cli_note(cli, "by this machine's clock the token has expired; trying all the same");
	TRY(prepare_keys(cli, args, &joining, ctx));
	TRY(dial(cli, &joining, ctx));
	TRY(receive_welcome(&joining, ctx));
	TRY(send_request(&joining, ctx));
	TRY(receive_reply(&joining, ctx));
	return report(cli, &joining);
}

static const struct cli_option options[] = {
	{"listen", "ADDRESS", "where it listens, or none (default: " CONFIG_LISTEN_DEFAULT ")",
		false},
	{"peer-address", "ADDRESS", "dial headquarters there, not where the token says", false},
	{"proxy", "ADDRESS", "dial through the HTTP proxy there, now and later", false},
	{"proxy-credentials", "FILE", "with USER:PASSWORD for it, readable by you alone", false},
	{"country", "CODE", "refuse a token for another country", false},
	OFFICER_OPTION("the first officer's name (default: the node's)"),
	PASSPHRASE_OPTION,
	{0},
};

const struct cli_command join_commands[] = {
	{"join", NULL, "TOKEN|@FILE|-", "make this machine the node that a token invites",
		"TOKEN is what 'sauti node invite' printed at headquarters; '@FILE' reads it from "
		"a\n"
		"file and '-' from standard input, so that no other user of this machine sees it.\n"
		"An interrupted join is repeated with the same command and the same token.",
		1, 1, options, run_join},
	{0},
};
