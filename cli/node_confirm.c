/* sauti node confirm: an officer compares the spoken words of another node's key. */
#include "cli/node_confirm.h"

#include <stdio.h>
#include <unistd.h>

#include "cases/keys/fingerprint.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "proto/codec.h"

enum { HEARD_MAX = 4 * WORDS_TEXT(FINGERPRINT_WORDS) };

static void explain(const char *name)
{
	fprintf(stderr,
		"Keys of cases go to '%s' only once you have compared its words. Call an officer "
		"of "
		"'%s'\n"
		"whom you know by voice, on a number you had before. There 'sauti status' shows "
		"eight words.\n"
		"Let them be read to you, and type them; four letters of each are enough. Never "
		"read them out yourself.\n"
		"Words: ",
		name, name);
}

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
	while (out->err == OK && fgets(line, sizeof(line), stdin) != NULL) {
		buf_put_str(out, line);
		if (!piped)
			break;
	}
	return out->err == ERR_LIMIT ? err_set(ctx, ERR_INVALID, "far more than eight words")
				     : out->err;
}

enum err node_confirm(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__NodeConfirmRequest confirm = SAUTI__NODE_CONFIRM_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	CLEANUP(buf_release) struct buf words;
	struct output_buffer by;

	buf_init(&words, HEARD_MAX);
	TRY(read_words(cli, args, &words, ctx));
	confirm.name = (char *)args_at(args, 0);
	confirm.words = codec_binary(buf_bytes(&words));
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_NODE_CONFIRM;
	request.node_confirm = &confirm;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json) {
		output_json(answer);
		return OK;
	}
	printf("the key of '%s' is confirmed, by ", confirm.name);
	output_text(stdout, output_member(answer, "by", &by), false);
	puts(". Should it ever have another, it must be confirmed again.");
	return OK;
}

const struct cli_option node_confirm_options[] = {
	{"words", NULL, "read the words that were heard from standard input", false},
	{0},
};
