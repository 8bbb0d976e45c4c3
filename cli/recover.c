/*
 * sauti recover: the recovery key of an office, in three shares of which two suffice; how its
 * escrow is; and everything back on another machine.
 *
 * The key is made and split here. The node gets its public half, paper the shares, and nobody the
 * whole: it is wiped as soon as the shares are shown. For a recovery two shares are joined here,
 * and the key goes to the node over the control socket, as a passphrase does.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "base/words.h"
#include "certs/recovery.h"
#include "cli/ask.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/qr.h"
#include "node/files.h"
#include "proto/codec.h"

enum { WORDS_A_ROW = 4, PAYLOAD_MAX = 128, HTML_MAX = 256 * 1024, WAIT_S = 600, ASK_AGAIN_S = 30 };

static const char *const keepers[RECOVERY_SHARES] = {
	"the office's safe", "the supervisor, at another place", "an independent trustee"};

/* ---- a share on paper ---- */

static enum err print_share(const struct recovery_share *share, const char *node, FILE *file)
{
	uint16_t words[RECOVERY_WORDS];
	struct buf payload;
	enum err err = recovery_words(share, words);

	buf_init(&payload, PAYLOAD_MAX);
	(void)buf_reserve(&payload, PAYLOAD_MAX);
	if (err == OK)
		err = recovery_payload(share, &payload);
	if (err == OK) {
		fprintf(file,
			"\nShare %u of %d of the recovery key of %s (set %02x%02x%02x%02x), for "
			"%s:\n\n",
			(unsigned)share->number, RECOVERY_SHARES, node, share->set.b[0],
			share->set.b[1], share->set.b[2], share->set.b[3],
			keepers[share->number - 1]);
		for (size_t i = 0; i < RECOVERY_WORDS; i++) {
			if (i % WORDS_A_ROW == 0)
				fprintf(file, "%s  %zu.", i == 0 ? "" : "\n", i / WORDS_A_ROW + 1);
			fprintf(file, "  %-8s", words_at(words[i]));
		}
		fputs("\n\n", file);
		err = qr_print(file, buf_cstr(&payload));
	}
	fflush(file);
	buf_wipe(&payload);
	wipe(words, sizeof(words));
	return err;
}

static void put_words(struct buf *html, const uint16_t words[RECOVERY_WORDS])
{
	buf_put_str(html, "<table>");
	for (size_t i = 0; i < RECOVERY_WORDS; i++) {
		if (i % WORDS_A_ROW == 0)
			buf_printf(html, "<tr><th>%zu.</th>", i / WORDS_A_ROW + 1);
		buf_printf(html, "<td>%s</td>%s", words_at(words[i]),
			i % WORDS_A_ROW == WORDS_A_ROW - 1 ? "</tr>\n" : "");
	}
	buf_put_str(html, "</table>\n");
}

static enum err html_share(const struct recovery_share *share, const char *node, struct buf *html)
{
	uint16_t words[RECOVERY_WORDS];
	struct buf payload;
	enum err err = recovery_words(share, words);

	buf_init(&payload, PAYLOAD_MAX);
	(void)buf_reserve(&payload, PAYLOAD_MAX);
	if (err == OK)
		err = recovery_payload(share, &payload);
	buf_printf(html,
		"<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Share "
		"%u</title>\n"
		"<style>body{font-family:sans-serif;margin:2cm}td,th{padding:2mm "
		"4mm;font-size:14pt;"
		"font-family:monospace}th{color:#777}</style>\n"
		"<h1>Recovery key of %s: share %u of %d</h1>\n<p>Set %02x%02x%02x%02x. For: "
		"%s.</p>\n"
		"<p>Two of the three shares give back everything this office has recorded, should "
		"its "
		"machine be lost. Keep this sheet where no other share is. Whoever has two of "
		"them, "
		"and help of another office, reads every case: give it to nobody who asks by "
		"telephone or mail.</p>\n",
		(unsigned)share->number, node, (unsigned)share->number, RECOVERY_SHARES,
		share->set.b[0], share->set.b[1], share->set.b[2], share->set.b[3],
		keepers[share->number - 1]);
	if (err == OK) {
		put_words(html, words);
		err = qr_svg(html, buf_cstr(&payload));
	}
	buf_put_str(html,
		"\n<p>On the new machine: <code>sauti recover</code> asks for two shares; "
		"words or code.</p></html>\n");
	buf_wipe(&payload);
	wipe(words, sizeof(words));
	return err == OK ? html->err : err;
}

static enum err share_path(const char *dir, unsigned number, char ret[PATH_MAX], struct errctx *ctx)
{
	if (snprintf(ret, PATH_MAX, "%s/share-%u.html", dir, number) >= PATH_MAX)
		return err_set(ctx, ERR_LIMIT, "--out: the path is too long");
	if (access(ret, F_OK) == 0)
		return err_set(ctx, ERR_EXISTS, "'%s' is there already: remove it first", ret);
	return OK;
}

static enum err write_share(
	const struct recovery_share *share, const char *node, const char *dir, struct errctx *ctx)
{
	char path[PATH_MAX];
	struct buf html;
	enum err err;

	TRY(share_path(dir, share->number, path, ctx));
	buf_init(&html, HTML_MAX);
	(void)buf_reserve(&html, HTML_MAX);
	err = html_share(share, node, &html);
	if (err == OK)
		err = files_write(path, buf_bytes(&html), 0600, ctx);
	buf_wipe(&html);
	return err;
}

/* ---- a share from a person ---- */

static size_t words_in(struct bytes text)
{
	size_t count = 0;
	bool inside = false;

	for (size_t i = 0; i < text.size; i++) {
		bool letter = (text.data[i] | 0x20) >= 'a' && (text.data[i] | 0x20) <= 'z';

		count += letter && !inside;
		inside = letter || (inside && text.data[i] > ' ');
	}
	return count;
}

/* Lines until there are enough words, or a code, or an empty one. */
static enum err ask_share(
	struct ask *ask, const char *prompt, struct recovery_share *ret, struct errctx *ctx)
{
	struct buf text;
	enum err err = OK;

	buf_init(&text, RECOVERY_TEXT_MAX);
	(void)buf_reserve(&text, RECOVERY_TEXT_MAX);
	do {
		err = ask_line(ask, text.size == 0 ? prompt : "  and on", ctx);
		if (err != OK || (ask->line.size == 0 && text.size > 0))
			break;
		buf_put(&text, buf_bytes(&ask->line));
		buf_put_u8(&text, '\n');
	} while (text.err == OK && words_in(buf_bytes(&text)) < RECOVERY_WORDS &&
		 (text.size < 7 || memcmp(text.data, "SAUTI1:", 7) != 0));
	if (err == OK)
		err = text.err;
	if (err == OK)
		err = recovery_read(buf_bytes(&text), ret, ctx);
	buf_wipe(&text);
	return err;
}

static bool may_try_again(enum err err)
{
	return err == ERR_MALFORMED || err == ERR_EXISTS || err == ERR_UNTRUSTED ||
	       err == ERR_VERSION || err == ERR_LIMIT || err == ERR_INVALID;
}

/* Typed until it is right. */
static enum err ask_share_again(
	struct ask *ask, const char *prompt, struct recovery_share *ret, struct errctx *ctx)
{
	for (unsigned tries = 0;; tries++) {
		enum err err = ask_share(ask, prompt, ret, ctx);

		if (err == OK || !may_try_again(err) || tries == ASK_TRIES_MAX)
			return err;
		ask_say(ask, TERM_BOLD, ctx->text);
	}
}

/* What was noted down is what was shown. */
static enum err confirm_share(
	struct ask *ask, const struct recovery_share *share, struct errctx *ctx)
{
	char prompt[80];

	snprintf(prompt, sizeof(prompt), "Type share %u back, from the paper",
		(unsigned)share->number);
	for (unsigned tries = 0; tries <= ASK_TRIES_MAX; tries++) {
		struct recovery_share typed = {.number = 0};
		bool same;

		TRY(ask_share_again(ask, prompt, &typed, ctx));
		same = typed.number == share->number &&
		       equal_secret(secret_bytes(&typed.share), secret_bytes(&share->share));
		recovery_share_release(&typed);
		if (same)
			return OK;
		ask_say(ask, TERM_BOLD, "that is another share: this one was asked for");
	}
	return err_set(ctx, ERR_CANCELED, "stopped: no recovery key was set up");
}

/* ---- setup and reshare ---- */

/* Shares do not stay on a screen. */
static void clear_screen(void)
{
	if (isatty(STDOUT_FILENO) == 1) {
		fputs("\033[2J\033[3J\033[H", stdout);
		fflush(stdout);
	}
}

static enum err show_shares(struct ask *ask, struct recovery_share *shares, const char *node,
	const char *dir, struct errctx *ctx)
{
	for (size_t i = 0; i < RECOVERY_SHARES; i++) {
		clear_screen();
		TRY(print_share(&shares[i], node, stdout));
		if (dir != NULL)
			TRY(write_share(&shares[i], node, dir, ctx));
		TRY(confirm_share(ask, &shares[i], ctx));
		recovery_share_release(&shares[i]);
	}
	clear_screen();
	return OK;
}

static enum err make_key(struct ask *ask, const char *node, const char *dir,
	struct x25519_public *ret, struct errctx *ctx)
{
	struct recovery_share shares[RECOVERY_SHARES] = {{.number = 0}};
	struct secret key = {0};
	enum err err = secret_random(&key, X25519_KEY_SIZE);

	if (err == OK)
		err = x25519_public(secret_bytes(&key), ret);
	if (err == OK)
		err = recovery_split(secret_bytes(&key), shares);
	secret_release(&key);
	if (err == OK)
		err = show_shares(ask, shares, node, dir, ctx);
	for (size_t i = 0; i < RECOVERY_SHARES; i++)
		recovery_share_release(&shares[i]);
	return err;
}

static enum err call_status(struct cli *cli, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__RecoverStatusRequest status = SAUTI__RECOVER_STATUS_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_RECOVER_STATUS;
	request.recover_status = &status;
	return daemon_call(cli, &request, ret, NULL, ctx);
}

/* Before anything is printed: what would be refused in the end. */
static enum err setup_possible(struct cli *cli, bool reshare, const char *dir, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *status = NULL;
	char path[PATH_MAX];

	for (unsigned n = 1; dir != NULL && n <= RECOVERY_SHARES; n++)
		TRY(share_path(dir, n, path, ctx));
	TRY(call_status(cli, &status, ctx));
	if (output_true(status, "set_up") == reshare)
		return OK;
	return reshare ? err_set(ctx, ERR_NOTFOUND,
				 "there is no recovery key yet: 'sauti recover setup' makes one")
		       : err_set(ctx, ERR_EXISTS,
				 "there is a recovery key already: 'sauti recover reshare' makes a "
				 "new one");
}

static enum err set_key(
	struct cli *cli, const struct x25519_public *key, bool reshare, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__RecoverSetupRequest setup = SAUTI__RECOVER_SETUP_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_RECOVER_SETUP;
	request.recover_setup = &setup;
	setup.recovery_key = codec_binary(BYTES_ARRAY(key->b));
	setup.reshare = reshare;
	return daemon_call(cli, &request, &answer, NULL, ctx);
}

static void print_set(struct cli *cli, const struct x25519_public *key, bool reshare)
{
	char hex[2 * RECOVERY_SET_SIZE + 1];
	struct recovery_set set;

	recovery_set_of(key, &set);
	hex_encode(BYTES_ARRAY(set.b), hex);
	if (cli->json) {
		json_t *json = json_pack("{s:s,s:b}", "set", hex, "reshare", reshare);

		output_json(json);
		json_decref(json);
		return;
	}
	printf("recovery key of set %s: the node has its public half, and nobody the whole\n", hex);
	puts("the escrow is made from now on: 'sauti recover status'");
	if (reshare)
		puts("shares of the former set are of no use once the new escrow is held: then "
		     "destroy them");
}

static enum err run_make(
	struct cli *cli, const struct cli_args *args, bool reshare, struct errctx *ctx)
{
	const char *dir = args_option(args, "out");
	struct node_config config;
	struct x25519_public key;
	struct ask ask = {0};
	enum err err;

	TRY(setup_possible(cli, reshare, dir, ctx));
	TRY(daemon_config(cli, &config, ctx));
	err = ask_open(
		cli, args, "shares are shown to a person: on a terminal, or with --ask", &ask, ctx);
	if (err == OK) {
		ask_say(&ask, TERM_PLAIN,
			"Three shares follow, one at a time. Write each on paper of its own, or "
			"print "
			"its file, and give it to its keeper; two of them bring everything back. "
			"Each "
			"is asked for, to see that it was noted right.");
		err = make_key(&ask, config.name, dir, &key, ctx);
	}
	ask_close(&ask);
	config_release(&config);
	TRY(err);
	TRY(set_key(cli, &key, reshare, ctx));
	print_set(cli, &key, reshare);
	return OK;
}

static enum err run_setup(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	return run_make(cli, args, false, ctx);
}

static enum err run_reshare(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	return run_make(cli, args, true, ctx);
}

/* ---- status ---- */

static void print_custodians(const json_t *status)
{
	const json_t *node;
	size_t i;

	json_array_foreach(json_object_get(status, "custodians"), i, node)
	{
		struct output_buffer name;

		printf("%-12s%s: holds %llu of %llu version keys", i == 0 ? "custodians" : "",
			output_member(node, "node", &name),
			(unsigned long long)output_number(node, "held"),
			(unsigned long long)output_number(node, "of"));
		if (output_number(node, "refused") > 0)
			printf(", refuses %llu",
				(unsigned long long)output_number(node, "refused"));
		putchar('\n');
	}
	if (json_array_size(json_object_get(status, "custodians")) < 3)
		printf("%-12sfewer than three: see [escrow] in sauti.conf\n",
			json_array_size(json_object_get(status, "custodians")) == 0 ? "custodians"
										    : "");
}

static void print_others(const json_t *status)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(status, "kept_for"), i, item)
	{
		struct output_buffer name;

		printf("%-12s%s: %llu version keys\n", i == 0 ? "kept for" : "",
			output_member(item, "node", &name),
			(unsigned long long)output_number(item, "keys"));
	}
	json_array_foreach(json_object_get(status, "asks"), i, item)
	{
		struct output_buffer name, time;

		printf("%-12s%s asks for its version keys%s, since %s: call its officer, then "
		       "'sauti node confirm %s'\n",
			i == 0 ? "asked" : "", output_member(item, "node", &name),
			output_true(item, "drill") ? " (a drill)" : "",
			output_time(item, "asked_at", &time), output_member(item, "node", &name));
	}
}

static void print_status(const json_t *status)
{
	const json_t *manifest = json_object_get(status, "manifest");
	struct output_buffer set, log;

	if (!output_true(status, "set_up")) {
		puts("no recovery key: what this office records is lost with its machine.\n"
		     "Run 'sauti recover setup'.");
		print_others(status);
		return;
	}
	printf("%-12sset %s\n", "recovery", output_member(status, "set", &set));
	printf("%-12s%llu of this node: %llu in the escrow, %llu safe\n", "keys",
		(unsigned long long)output_number(status, "keys"),
		(unsigned long long)output_number(status, "escrowed"),
		(unsigned long long)output_number(status, "safe"));
	printf("%-12s%llu, %llu acknowledged by %llu custodians or more\n", "chunks",
		(unsigned long long)output_number(status, "chunks"),
		(unsigned long long)output_number(status, "acknowledged"),
		(unsigned long long)output_number(status, "quorum"));
	if (output_number(manifest, "sequence") > 0)
		printf("%-12snumber %llu, at %llu of %s, %s\n", "manifest",
			(unsigned long long)output_number(manifest, "sequence"),
			(unsigned long long)output_number(manifest, "index"),
			output_member(manifest, "log", &log),
			output_true(manifest, "held") ? "held by the quorum"
						      : "not held by the quorum yet");
	print_custodians(status);
	print_others(status);
}

static enum err run_status(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *status = NULL;

	(void)args;
	TRY(call_status(cli, &status, ctx));
	if (cli->json)
		output_json(status);
	else
		print_status(status);
	return OK;
}

/* ---- recovery ---- */

static enum err file_share(const char *path, struct recovery_share *ret, struct errctx *ctx)
{
	struct buf text;
	enum err err;

	buf_init(&text, RECOVERY_TEXT_MAX + 1);
	(void)buf_reserve(&text, RECOVERY_TEXT_MAX + 1);
	err = files_read(path, RECOVERY_TEXT_MAX, &text, ctx);
	if (err == OK) {
		err = recovery_read(buf_bytes(&text), ret, ctx);
		if (err != OK)
			err = err_wrap(ctx, err, "'%s'", path);
	}
	buf_wipe(&text);
	return err;
}

static enum err ask_shares(struct cli *cli, const struct cli_args *args,
	struct recovery_share shares[RECOVERY_NEEDED], struct secret *ret, struct errctx *ctx)
{
	struct ask ask = {0};
	enum err err = ask_open(cli, args,
		"two shares are asked for on a terminal, or read from --share FILE", &ask, ctx);

	for (unsigned tries = 0; err == OK; tries++) {
		err = ask_share_again(&ask, "A share: its words, or its code", &shares[0], ctx);
		if (err == OK)
			err = ask_share_again(&ask, "Another share", &shares[1], ctx);
		if (err != OK)
			break;
		err = recovery_join(&shares[0], &shares[1], ret, ctx);
		if (err == OK || !may_try_again(err) || tries == ASK_TRIES_MAX)
			break;
		ask_say(&ask, TERM_BOLD, ctx->text);
		for (size_t i = 0; i < RECOVERY_NEEDED; i++)
			recovery_share_release(&shares[i]);
		err = OK;
	}
	ask_close(&ask);
	return err;
}

static enum err get_key(
	struct cli *cli, const struct cli_args *args, struct secret *ret, struct errctx *ctx)
{
	struct recovery_share shares[RECOVERY_NEEDED] = {{.number = 0}};
	const char *files[] = {args_option_at(args, "share", 0), args_option_at(args, "share", 1)};
	enum err err = OK;

	if (files[0] == NULL) {
		err = ask_shares(cli, args, shares, ret, ctx);
	} else if (files[1] == NULL || args_option_at(args, "share", 2) != NULL) {
		err = cli_usage(
			cli, ctx, "--share FILE is given twice, once for each of two shares");
	} else {
		for (size_t i = 0; err == OK && i < RECOVERY_NEEDED; i++)
			err = file_share(files[i], &shares[i], ctx);
		if (err == OK)
			err = recovery_join(&shares[0], &shares[1], ret, ctx);
	}
	for (size_t i = 0; i < RECOVERY_NEEDED; i++)
		recovery_share_release(&shares[i]);
	return err;
}

static enum err look(struct cli *cli, bool drill, bool ask, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__RecoverLookRequest message = SAUTI__RECOVER_LOOK_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_RECOVER_LOOK;
	request.recover_look = &message;
	message.drill = drill;
	message.ask = ask;
	return daemon_call(cli, &request, ret, NULL, ctx);
}

/* The shares are those of the escrow; told before anybody is asked. */
static enum err set_check(const json_t *found, struct bytes key, struct errctx *ctx)
{
	char hex[2 * RECOVERY_SET_SIZE + 1];
	struct output_buffer set;
	struct x25519_public public;
	struct recovery_set have;

	TRY(x25519_public(key, &public));
	recovery_set_of(&public, &have);
	hex_encode(BYTES_ARRAY(have.b), hex);
	if (strcmp(output_member(found, "set", &set), hex) == 0)
		return OK;
	return err_set(ctx, ERR_UNTRUSTED,
		"the shares are of set %s, the newest escrow is sealed to set %s: they were made "
		"anew "
		"since",
		hex, output_member(found, "set", &set));
}

static void pause_s(void)
{
	struct timespec second = {1, 0};

	nanosleep(&second, NULL);
}

static void say_asked(struct cli *cli, const json_t *found)
{
	char names[LIMIT_ESCROW_CUSTODIANS * (LIMIT_NODE_NAME + 2) + 1] = "";
	const json_t *name;
	size_t i;

	json_array_foreach(json_object_get(found, "asked"), i, name)
	{
		const char *text = json_string_value(name);

		if (text == NULL || strlen(names) + strlen(text) + 3 > sizeof(names))
			continue;
		strcat(strcat(names, names[0] == '\0' ? "" : ", "), text);
	}
	cli_note(cli,
		names[0] == '\0'
			? "none of the custodians is a member now%s"
			: "asked for version keys: %s. Each gives them once its officer has "
			  "confirmed this node's key ('sauti node confirm' there): call them",
		names);
}

/* Until enough has come, or the time is over. */
static enum err wait_keys(struct cli *cli, const struct cli_args *args, bool drill,
	struct bytes key, struct errctx *ctx)
{
	const char *wait = args_option(args, "wait");
	uint64_t seconds = WAIT_S;

	if (wait != NULL && decimal_parse(bytes_str(wait), 7 * 24 * 3600, &seconds) != OK)
		return cli_usage(cli, ctx, "--wait: a number of seconds, at most a week");
	for (uint64_t waited = 0;; waited++) {
		CLEANUP(daemon_json_release) json_t *found = NULL;
		uint64_t missing;

		TRY(look(cli, drill, waited % ASK_AGAIN_S == 0, &found, ctx));
		missing = output_number(found, "missing");
		if (waited == 0)
			TRY(set_check(found, key, ctx));
		if (missing == 0)
			return OK;
		if (waited == 0)
			say_asked(cli, found);
		if (waited >= seconds)
			return err_set(ctx, ERR_AGAIN,
				"%llu of %llu version keys have not come: custodians are silent, "
				"or "
				"their officers have not confirmed this node's key. Nothing was "
				"changed; run it again, what came is kept until the node is locked",
				(unsigned long long)missing,
				(unsigned long long)output_number(found, "chunks"));
		pause_s();
	}
}

static enum err run_all(
	struct cli *cli, bool drill, struct bytes key, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__RecoverRequest message = SAUTI__RECOVER_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_RECOVER;
	request.recover = &message;
	message.key = codec_binary(key);
	message.drill = drill;
	return daemon_call(cli, &request, ret, NULL, ctx);
}

static void print_recovered(const json_t *answer, bool drill)
{
	struct output_buffer made;

	printf("%s of the escrow of %s: %llu of %llu chunks, %llu keys\n",
		drill ? "read" : "recovered out", output_time(answer, "made_at", &made),
		(unsigned long long)output_number(answer, "opened"),
		(unsigned long long)output_number(answer, "chunks"),
		(unsigned long long)output_number(answer, "read"));
	if (output_number(answer, "unreadable") > 0)
		printf("%llu chunks cannot be read: see 'sauti log verify'\n",
			(unsigned long long)output_number(answer, "unreadable"));
	if (output_number(answer, "erased") > 0)
		printf("%llu keys were erased since, and stay so\n",
			(unsigned long long)output_number(answer, "erased"));
	if (drill)
		printf("a drill: %llu of them are in this node's keyring; nothing was changed\n",
			(unsigned long long)output_number(answer, "known"));
	else
		printf("%llu keys are new here, %llu were known: 'sauti case list' shows what they "
		       "open\n",
			(unsigned long long)output_number(answer, "added"),
			(unsigned long long)output_number(answer, "known"));
}

static enum err run_recover(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	bool drill = args_flag(args, "drill");
	struct secret key = {0};
	enum err err = get_key(cli, args, &key, ctx);

	if (err == OK)
		err = wait_keys(cli, args, drill, secret_bytes(&key), ctx);
	if (err == OK)
		err = run_all(cli, drill, secret_bytes(&key), &answer, ctx);
	secret_release(&key);
	TRY(err);
	if (cli->json)
		output_json(answer);
	else
		print_recovered(answer, drill);
	return output_number(answer, "opened") == output_number(answer, "chunks")
		       ? OK
		       : err_set(ctx, ERR_CORRUPT, "not all of the escrow could be read");
}

/* ---- commands ---- */

static const struct cli_option make_options[] = {
	{"out", "DIR", "write share-1.html to share-3.html there, to be printed", false},
	{"ask", NULL, "ask although this is no terminal", false},
	{0},
};
static const struct cli_option recover_options[] = {
	{"share", "FILE", "a file with a share, words or code; twice, for two shares", true},
	{"drill", NULL, "read all of it and change nothing", false},
	{"wait", "SECONDS", "how long custodians are waited for (600)", false},
	{"ask", NULL, "ask although this is no terminal", false},
	{0},
};

const struct cli_command recover_commands[] = {
	{"recover", "setup", "", "make a recovery key, and show its three shares",
		"The key is split: two of the three shares give it back, one alone says nothing.\n"
		"Each share is shown once, as words and as a QR code, and has to be typed back.\n"
		"The node keeps the public half alone; from then on its case keys are sealed to "
		"it\n"
		"in its log, and once more under keys that custodians keep.",
		0, 0, make_options, run_setup},
	{"recover", "reshare", "", "a new recovery key in place of the former one",
		"For a share that is lost, or a keeper who has gone. All of the escrow is made "
		"anew;\n"
		"once that is held, the former shares open nothing that is added.",
		0, 0, make_options, run_reshare},
	{"recover", "status", "", "what is in the escrow, and who keeps it", NULL, 0, 0, NULL,
		run_status},
	{"recover", NULL, "", "bring this office's keys back, with two shares",
		"On a machine that has taken a lost one's place, once its logs have come back "
		"from\n"
		"the mirrors. Two shares are asked for, or read from files; the custodians are "
		"asked\n"
		"for their keys by mail, and give them once their officers have confirmed this\n"
		"node's new key. With --drill: the same on any day, to see that it would work.",
		0, 0, recover_options, run_recover},
	{0},
};
