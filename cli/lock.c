/* sauti unlock, lock, panic, logout, whoami */
#include <stdio.h>

#include "cli/daemon.h"
#include "cli/officer.h"
#include "cli/passphrase.h"
#include "proto/codec.h"

static void print_unlocked(const json_t *answer)
{
	unsigned long long cases = output_number(answer, "cases");
	unsigned long long events = output_number(answer, "events");
	struct output_buffer buffer;

	printf("unlocked by %s: %llu case%s, %llu event%s\n",
		output_member(answer, "officer", &buffer), cases, cases == 1 ? "" : "s", events,
		events == 1 ? "" : "s");
	if (output_number(answer, "unread") > 0)
		printf("%llu entries of this node's logs cannot be read: see 'sauti status'\n",
			(unsigned long long)output_number(answer, "unread"));
	if (output_member(answer, "previous_log", &buffer)[0] != '\0') {
		printf("a new log was opened: ");
		output_text(stdout, output_member(answer, "log", &buffer), false);
		printf("\nin place of ");
		output_text(stdout, output_member(answer, "previous_log", &buffer), false);
		putchar('\n');
	}
	if (!output_true(answer, "recording")) {
		printf("nothing can be recorded: ");
		output_text(stdout, output_member(answer, "message", &buffer), false);
		printf("; see 'sauti status'\n");
	}
}

static enum err run_unlock(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__UnlockRequest unlock = SAUTI__UNLOCK_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	struct secret passphrase;
	char officer[OFFICER_LABEL_MAX + 1], prompt[OFFICER_LABEL_MAX + 20];
	enum err err;

	TRY(passphrase_possible(cli, args, ctx));
	TRY(officer_choose(cli, args, officer, ctx));
	snprintf(prompt, sizeof(prompt), "Passphrase of %s", officer);
	TRY(passphrase_get(cli, args, prompt, false, &passphrase, ctx));
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_UNLOCK;
	request.unlock = &unlock;
	unlock.new_epoch = args_flag(args, "new-epoch");
	unlock.passphrase = codec_binary(secret_bytes(&passphrase));
	unlock.officer = officer;
	err = daemon_unlock(cli, &request, &answer, ctx);
	secret_release(&passphrase);
	if (err != OK)
		return err;
	if (cli->json)
		output_json(answer);
	else
		print_unlocked(answer);
	return OK;
}

static enum err call(
	struct cli *cli, const Sauti__ControlRequest *request, const char *text, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *answer = NULL;

	TRY(daemon_call(cli, request, &answer, NULL, ctx));
	if (cli->json)
		output_json(answer);
	else
		puts(text);
	return OK;
}

static enum err run_lock(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LockRequest lock = SAUTI__LOCK_REQUEST__INIT;

	(void)args;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LOCK;
	request.lock = &lock;
	TRY(call(cli, &request, "locked", ctx));
	return daemon_forget(cli, ctx);
}

static enum err run_panic(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__PanicRequest panic = SAUTI__PANIC_REQUEST__INIT;

	(void)args;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_PANIC;
	request.panic = &panic;
	TRY(call(cli, &request, "locked; every other connection is closed", ctx));
	return daemon_forget(cli, ctx);
}

static enum err run_logout(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LogoutRequest logout = SAUTI__LOGOUT_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;

	(void)args;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LOGOUT;
	request.logout = &logout;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json)
		output_json(answer);
	else
		printf(output_true(answer, "logged_out") ? "logged out\n"
							 : "there was no session\n");
	return daemon_forget(cli, ctx);
}

static enum err run_whoami(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__WhoamiRequest whoami = SAUTI__WHOAMI_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	struct output_buffer buffer, roles;

	(void)args;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_WHOAMI;
	request.whoami = &whoami;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json) {
		output_json(answer);
		return OK;
	}
	output_text(stdout, output_member(answer, "officer", &buffer), false);
	officer_roles_text(json_object_get(answer, "roles"), &roles);
	printf(": %s; since %s", roles.text, output_time(answer, "since", &buffer));
	printf(", ends in %llu min at the latest, after %llu min without a command\n",
		(unsigned long long)output_number(answer, "ends_in_s") / 60,
		(unsigned long long)output_number(answer, "idle_limit_s") / 60);
	return OK;
}

static const struct cli_option unlock_options[] = {
	OFFICER_OPTION("who unlocks (default: the only one, $SAUTI_OFFICER)"),
	PASSPHRASE_OPTION,
	{"new-epoch", NULL, "give the node's log up and open a new one", false},
	{0},
};

const struct cli_command lock_commands[] = {
	{"unlock", NULL, "", "open the node's keys: it can read and write cases",
		"The passphrase opens the officer's slot of the keystore. Until then the node\n"
		"replicates, verifies and relays, and reads nothing. A session of the officer\n"
		"begins, which the commands after it belong to; so this is also how a second\n"
		"officer logs in. It ends with 'sauti logout', 'sauti lock', and by itself.\n"
		"--new-epoch is for a log that cannot be continued because newer data of it is\n"
		"lost or was written elsewhere: 'sauti status' says when.",
		0, 0, unlock_options, run_unlock},
	{"lock", NULL, "", "forget the node's keys until the next unlock",
		"What is under way ends with an error; what was acknowledged is safe. The node "
		"locks\n"
		"itself when nobody asks anything for as long as [lock] idle in sauti.conf says.",
		0, 0, NULL, run_lock},
	{"panic", NULL, "", "lock at once, and close every connection",
		"Needs no session. Answers under way are dropped, nothing of a case or a key stays "
		"in\n"
		"memory. Afterwards 'sauti unlock' works as usual. The signal SIGUSR1 to sautid "
		"does\n"
		"the same, for lids, power supplies and tokens: see docs/OPERATIONS, Locking.",
		0, 0, NULL, run_panic},
	{"logout", NULL, "", "end your session; the node stays unlocked", NULL, 0, 0, NULL,
		run_logout},
	{"whoami", NULL, "", "whose session this is", NULL, 0, 0, NULL, run_whoami},
	{0},
};
