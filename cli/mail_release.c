/* sauti mail release: keys may leave although headquarters is silent, on two officers' word. */
#include "cli/mail_release.h"

#include <stdio.h>
#include <unistd.h>

#include "cases/keys/fingerprint.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "proto/codec.h"

enum { HEARD_MAX = 4 * WORDS_TEXT(FINGERPRINT_WORDS) };

static void explain(const char *name)
{
	fprintf(stderr,
		"Nothing that headquarters signed within 30 days has come here: whether '%s' was "
		"revoked is not known.\n"
		"Call an officer of '%s' whom you know by voice, on a number you had before, and "
		"ask whether all is well there.\n"
		"'sauti status' there shows eight words. Let them be read to you, and type them. "
		"Never read them out yourself.\n"
		"Words: ",
		name, name);
}

/* One line. */
static enum err read_words(
	struct cli *cli, const struct cli_args *args, struct buf *out, struct errctx *ctx)
{
	bool piped = args_flag(args, "words");
	char line[HEARD_MAX];

	if (!piped && !isatty(STDIN_FILENO))
		return cli_usage(
			cli, ctx, "there is no terminal to ask on: --words reads standard input");
	if (!piped)
		explain(args_at(args, 0));
	if (fgets(line, sizeof(line), stdin) != NULL)
		buf_put_str(out, line);
	return out->err;
}

static enum err ask(
	struct cli *cli, Sauti__MailReleaseRequest *release, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_MAIL_RELEASE;
	request.mail_release = release;
	return daemon_call(cli, &request, ret, NULL, ctx);
}

enum err mail_release_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__MailReleaseRequest release = SAUTI__MAIL_RELEASE_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	CLEANUP(secret_release) struct secret passphrase = {0};
	CLEANUP(buf_release) struct buf words;
	char what[100];

	buf_init(&words, HEARD_MAX);
	release.node = (char *)args_at(args, 0);
	release.second = (char *)args_option(args, "second");
	if (release.second == NULL)
		return cli_usage(cli, ctx, "--second says who the second officer is");
	TRY(passphrase_possible(cli, args, ctx));
	TRY(read_words(cli, args, &words, ctx));
	release.words = codec_binary(buf_bytes(&words));
	snprintf(what, sizeof(what), "Passphrase of %.60s, who agrees", release.second);
	TRY(passphrase_get(cli, args, what, false, &passphrase, ctx));
	release.passphrase = codec_binary(secret_bytes(&passphrase));
	TRY(ask(cli, &release, &answer, ctx));
	if (cli->json)
		output_json(answer);
	else
		printf("for a day keys may leave for '%s'; it is in the ledger\n", release.node);
	return OK;
}

const struct cli_option mail_release_options[] = {
	{"second", "OFFICER", "who agrees, and types their passphrase", false},
	{"words", NULL, "read the words that were heard from standard input", false},
	PASSPHRASE_OPTION,
	{0},
};
