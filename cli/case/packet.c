/*
 * sauti case packet. Happy path: the file that it goes into and whatever seals it are tried first,
 * since asking the node is recorded for good; the page comes, and is what the ledger says; it goes
 * into the file encrypted, and never to the disk in clear (but for paper, which is a page to
 * print).
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cases/packet/packet.h"
#include "cases/packet/sealed.h"
#include "cli/age.h"
#include "cli/args.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/packet.h"
#include "cli/passphrase.h"
#include "cli/target.h"

enum form { FORM_AGE, FORM_SEALED, FORM_PAPER };
static const char *const forms[] = {"age", "sealed", "paper"};

struct packing {
	struct cli *cli;
	const struct cli_args *args;
	enum form form;
	const char *recipient; /* of age */
	struct secret passphrase;
	struct target target;
	struct buf page; /* plaintext, reserved whole */
	json_t *head;
};

static enum err read_form(struct packing *p, struct errctx *ctx)
{
	const char *form = args_option(p->args, "format");

	for (size_t i = 0; form != NULL && i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(form, forms[i]) == 0) {
			p->form = (enum form)i;
			return OK;
		}
	return cli_usage(p->cli, ctx, "--format age, sealed or paper is needed");
}

/* Whatever can fail here fails before the node is asked. */
static enum err prepare(struct packing *p, struct errctx *ctx)
{
	const char *out = args_option(p->args, "out");

	TRY(read_form(p, ctx));
	if (args_option(p->args, "to") == NULL || out == NULL)
		return cli_usage(p->cli, ctx, "--to and --out are needed");
	p->recipient = args_option(p->args, "age-recipient");
	if ((p->form == FORM_AGE) != (p->recipient != NULL))
		return cli_usage(p->cli, ctx,
			"--format age needs --age-recipient, and others do not take it");
	p->target.path = strcmp(out, "-") == 0 ? NULL : out;
	if (buf_reserve(&p->page, PACKET_MAX) == NULL)
		return p->page.err;
	TRY(target_open(&p->target, ctx));
	if (p->form == FORM_AGE)
		return age_check(p->recipient, ctx);
	if (p->form == FORM_SEALED)
		return passphrase_get(
			p->cli, p->args, "passphrase for the packet", true, &p->passphrase, ctx);
	return OK;
}

/* --- the node --- */

static enum err receive(struct control *control, struct packing *p, struct errctx *ctx)
{
	struct control_response response = {0};

	while (!response.last) {
		TRY(control_next(control, &response, ctx));
		if (response.json.size > 0 && p->head == NULL)
			TRY(output_parse(response.json, &p->head, ctx));
		buf_put(&p->page, response.data);
	}
	return p->page.err;
}

static enum err check_page(const struct packing *p, struct errctx *ctx)
{
	char hex[2 * HASH_SIZE + 1];
	struct output_buffer b;
	struct hash hash;

	if (p->head == NULL)
		return err_set(ctx, ERR_MALFORMED, "the node's answer is empty");
	sha256(buf_bytes(&p->page), &hash);
	hex_encode(hash_bytes(&hash), hex);
	if (strcmp(hex, output_member(p->head, "file_hash", &b)) != 0)
		return err_set(ctx, ERR_CORRUPT, "what arrived is not what the ledger says");
	return OK;
}

static enum err ask_node(struct packing *p, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CasePacketRequest packet = SAUTI__CASE_PACKET_REQUEST__INIT;
	const char *groups = args_option(p->args, "groups");
	char text[256] = "", *names[GROUP_LAST];
	struct control *control = NULL;
	enum err err;

	snprintf(text, sizeof(text), "%s", groups == NULL ? "" : groups);
	TRY(packet_groups_read(text, names, &packet.n_groups, ctx));
	packet.case_ = (char *)args_at(p->args, 0);
	packet.recipient = (char *)args_option(p->args, "to");
	packet.groups = names;
	packet.format = (char *)(p->form == FORM_PAPER ? "paper" : "encrypted-file");
	packet.purpose = (char *)args_option(p->args, "purpose");
	if (packet.purpose == NULL)
		packet.purpose = (char *)"";
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_PACKET;
	request.case_packet = &packet;
	TRY(daemon_connect(p->cli, &control, ctx));
	err = control_send(control, &request, ctx);
	if (err == OK)
		err = receive(control, p, ctx);
	if (err == OK)
		err = check_page(p, ctx);
	control_close(control);
	return err;
}

/* --- the file --- */

static enum err write_sealed(struct packing *p, struct errctx *ctx)
{
	uint8_t salt[SEALED_SALT_SIZE];
	struct buf file;
	enum err err;

	buf_init(&file, SEALED_FILE_MAX);
	err = random_bytes(salt, sizeof(salt));
	if (err == OK)
		err = sealed_write(secret_bytes(&p->passphrase), salt, sealed_cost,
			buf_bytes(&p->page), &file);
	if (err == OK)
		err = target_put(&p->target, buf_bytes(&file), ctx);
	buf_wipe(&file);
	return err;
}

static enum err write_file(struct packing *p, struct errctx *ctx)
{
	enum err err = p->form == FORM_AGE
			       ? age_encrypt(p->recipient, buf_bytes(&p->page), p->target.fd, ctx)
		       : p->form == FORM_SEALED ? write_sealed(p, ctx)
						: target_put(&p->target, buf_bytes(&p->page), ctx);
	struct output_buffer b;

	if (err == OK)
		err = target_commit(&p->target, ctx);
	if (err != OK)
		return err_set(ctx, err,
			"packet %s is recorded, but its file could not be written (%s): nothing "
			"was given out; 'sauti case recall' takes it back in the books",
			output_member(p->head, "packet", &b), err_message(ctx, err));
	return OK;
}

static void report(const struct packing *p)
{
	struct output_buffer b;
	const json_t *groups = json_object_get(p->head, "groups"), *group;
	size_t i;

	if (p->cli->json && p->target.path != NULL) {
		output_json(p->head);
		return;
	}
	if (p->target.path == NULL)
		return;
	printf("packet  %s\nholds  ", output_member(p->head, "packet", &b));
	json_array_foreach(groups, i, group)
		printf("%s %s", i == 0 ? "" : ",", json_string_value(group));
	printf(" (%llu events)\nconsent until %s\nledger  ",
		(unsigned long long)output_number(p->head, "events"),
		output_member(p->head, "until", &b));
	printf("%s at ", output_member(p->head, "log", &b));
	printf("%llu\n", (unsigned long long)output_number(p->head, "index"));
	if (p->form == FORM_PAPER)
		cli_note(p->cli, "the file is in clear: print it, then delete it");
	else if (p->form == FORM_SEALED)
		cli_note(p->cli, "tell the passphrase by another way than the file's");
}

enum err case_packet_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	struct packing p = {.cli = cli, .args = args, .target = {.fd = -1}};
	enum err err;

	buf_init(&p.page, PACKET_MAX);
	err = prepare(&p, ctx);
	if (err == OK)
		err = ask_node(&p, ctx);
	if (err == OK)
		err = write_file(&p, ctx);
	if (err == OK)
		report(&p);
	target_release(&p.target);
	buf_wipe(&p.page);
	secret_release(&p.passphrase);
	json_decref(p.head);
	return err;
}

const struct cli_option case_packet_options[] = {
	{"to", "NAME", "the organisation, as the consent names it", false},
	{"groups", "GROUPS",
		"data groups, as contact,services (default: what the consent covers, no names)",
		false},
	{"purpose", "CODE", "of the consent it rests on (default: any)", false},
	{"format", "FORM", "age: for a key; sealed: with a passphrase; paper: a page to print",
		false},
	{"age-recipient", "KEY", "the organisation's public key of age (age1..)", false},
	PASSPHRASE_OPTION,
	{"out", "FILE", "the file, which is not there yet; '-': standard output", false},
	{0},
};
