/* sauti packet: a packet is opened, without a node; and what there is in one. */
#include "cli/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases/packet/packet.h"
#include "cases/packet/sealed.h"
#include "cases/schema/schema.h"
#include "cli/args.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "cli/target.h"
#include "node/files.h"

enum err packet_groups_read(
	char *text, char *ret[GROUP_LAST], size_t *ret_count, struct errctx *ctx)
{
	char *rest = NULL;

	*ret_count = 0;
	for (char *name = strtok_r(text, ", ", &rest); name != NULL;
		name = strtok_r(NULL, ", ", &rest)) {
		if (!group_of_case(group_find(bytes_str(name))) || *ret_count == GROUP_LAST)
			return err_set(ctx, ERR_INVALID,
				"--groups: '%.20s' is no data group of a case; they are consent, "
				"core, contact, identity, services, health, allegation, paternity, "
				"protection, note",
				name);
		ret[(*ret_count)++] = name;
	}
	return OK;
}

static enum err open_file(const char *path, struct buf *ret, struct errctx *ctx)
{
	struct stat st;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum err err = OK;

	if (fd < 0 || fstat(fd, &st) != 0) {
		err = files_errno(ctx, errno, "read", path);
	} else if (st.st_size > SEALED_FILE_MAX) {
		err = err_set(ctx, ERR_LIMIT, "'%.200s' is larger than any packet", path);
	} else if (buf_reserve(ret, (size_t)st.st_size + 1) == NULL) {
		err = ret->err;
	} else {
		while (ret->size <= (size_t)st.st_size &&
			(n = read(fd, ret->data + ret->size, (size_t)st.st_size + 1 - ret->size)) >
				0)
			ret->size += (size_t)n;
		if (n < 0)
			err = files_errno(ctx, errno, "read", path);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

static enum err say(enum err err, const char *path, struct errctx *ctx)
{
	switch (err) {
	case ERR_MALFORMED:
		return err_set(ctx, err,
			"'%.200s' is no sealed packet, or not whole. What age has encrypted "
			"('age-encryption.org' in its first line) opens 'age --decrypt'",
			path);
	case ERR_VERSION:
		return err_set(ctx, err, "'%.200s' is of a later Sauti", path);
	case ERR_DENIED:
		return err_set(ctx, err, "that is not the packet's passphrase");
	case ERR_DECRYPT:
		return err_set(ctx, err, "'%.200s' is damaged, or was changed", path);
	default:
		return err;
	}
}

static enum err put_out(const char *to, struct bytes text, struct errctx *ctx)
{
	struct target target = {.fd = -1};
	enum err err;

	target.path = to == NULL || strcmp(to, "-") == 0 ? NULL : to;
	err = target_open(&target, ctx);
	if (err == OK)
		err = target_put(&target, text, ctx);
	if (err == OK)
		err = target_commit(&target, ctx);
	target_release(&target);
	return err;
}

static enum err open_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(secret_release) struct secret passphrase = {0};
	const char *path = args_at(args, 0);
	struct buf file, text;
	enum err err;

	buf_init(&file, SEALED_FILE_MAX + 2);
	buf_init(&text, SEALED_FILE_MAX);
	err = open_file(path, &file, ctx);
	if (err == OK && !sealed_is(buf_bytes(&file)))
		err = say(ERR_MALFORMED, path, ctx);
	if (err == OK)
		err = passphrase_get(
			cli, args, "passphrase of the packet", false, &passphrase, ctx);
	if (err == OK)
		err = say(
			sealed_read(secret_bytes(&passphrase), buf_bytes(&file), &text), path, ctx);
	if (err == OK)
		err = put_out(args_option(args, "out"), buf_bytes(&text), ctx);
	buf_release(&file);
	buf_wipe(&text);
	return err;
}

static enum err fields_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static const char *const heads[] = {"GROUP", "EVENT", "FIELD"};
	CLEANUP(output_table_release) struct output_table table;
	json_t *list = json_array();
	const char *name;
	uint32_t type;

	output_table_init(&table, heads, 3);
	for (size_t n = 0; packet_field_at(n, &type, &name); n++) {
		const char *group = group_name(packet_field_group(type, bytes_str(name)));
		const char *cells[] = {group, event_type_get(type)->name, name};

		output_table_add(&table, cells);
		json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "group", group, "type",
						    cells[1], "field", name));
	}
	if (cli->json)
		output_json(list);
	else
		output_table_print(&table, stdout);
	json_decref(list);
	return table.err;
}

static const struct cli_option open_options[] = {
	PASSPHRASE_OPTION,
	{"out", "FILE", "the page, which is not there yet (default, and '-': standard output)",
		false},
	{0},
};

const struct cli_command packet_commands[] = {
	{"packet", "open", "FILE", "open a packet that 'case packet --format sealed' made",
		"Needs no node: whoever got it can use this program. What comes out is a page of\n"
		"HTML, in clear.",
		1, 1, open_options, open_run},
	{"packet", "fields", "", "the fields that a packet may hold, by data group",
		"Codes of medical and psychosocial services belong to health.", 0, 0, NULL,
		fields_run},
	{0},
};
