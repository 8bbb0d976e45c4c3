#include "node/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/text.h"
#include "node/config.h"
#include "node/genesis.h"

#define HEAD "sauti-backup "
#define SEAL "sha256 "

enum { HEX_SIZE = 2 * HASH_SIZE };
enum { SEAL_SIZE = sizeof(SEAL) - 1 + HEX_SIZE + 1 }; /* the last line, with its newline */

#define TIME_MAX UINT64_C(253402300799) /* the last second of the year 9999 */

static const struct {
	const char *path;
	uint64_t size_max;
} files[MANIFEST_FILES] = {
	[MANIFEST_CONFIG] = {"sauti.conf", LIMIT_CONFIG_SIZE},
	[MANIFEST_CHAIN] = {"certs/node.pem", 2 * LIMIT_CERTIFICATE_SIZE},
	[MANIFEST_ROOT] = {"certs/root.pem", LIMIT_CERTIFICATE_SIZE},
	[MANIFEST_GENESIS] = {"genesis", GENESIS_SIZE_MAX},
	[MANIFEST_STORE] = {"store/data.mdb", LIMIT_BACKUP_STORE},
};

const char *manifest_path(enum manifest_file_id id)
{
	return files[id].path;
}

uint64_t manifest_size_max(enum manifest_file_id id)
{
	return files[id].size_max;
}

void manifest_release(struct manifest *manifest)
{
	if (manifest == NULL)
		return;
	mem_free(manifest->logs);
	manifest->logs = NULL;
	manifest->log_count = 0;
}

static int logs_compare(const void *a, const void *b)
{
	const struct manifest_log *left = a, *right = b;

	return strcmp(left->origin.text, right->origin.text);
}

void manifest_sort(struct manifest *manifest)
{
	if (manifest->log_count > 1)
		qsort(manifest->logs, manifest->log_count, sizeof(*manifest->logs), logs_compare);
}

void manifest_time(uint64_t seconds, char ret[MANIFEST_TIME_SIZE])
{
	time_t t = (time_t)(seconds > TIME_MAX ? TIME_MAX : seconds);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(ret, MANIFEST_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* What both ways hold to. */
static bool log_ok(const struct manifest_log *log, const struct manifest_log *before)
{
	static const struct hash none;

	if (log->checkpoint_size > log->size || log->size > LIMIT_LOG_SIZE)
		return false;
	if (log->checkpoint_size == 0 && !hash_equal(&log->root, &none))
		return false;
	return before == NULL || logs_compare(before, log) < 0;
}

/* Writing. */

static void hex_put(struct buf *out, const struct hash *hash)
{
	char hex[HEX_SIZE + 1];

	hex_encode(hash_bytes(hash), hex);
	buf_put_str(out, hex);
}

static void log_put(struct buf *out, const struct manifest_log *log)
{
	buf_printf(out, "log %" PRIu64 " %" PRIu64 " ", log->size, log->checkpoint_size);
	if (log->checkpoint_size == 0)
		buf_put_str(out, "-");
	else
		base64_encode(out, hash_bytes(&log->root));
	buf_printf(out, " %s\n", log->origin.text);
}

static bool writable(const struct manifest *manifest)
{
	if (!node_name_valid(bytes_str(manifest->node)) ||
		!network_name_valid(bytes_str(manifest->network)) ||
		manifest->created_s > TIME_MAX || manifest->log_count > LIMIT_LOGS)
		return false;
	for (size_t i = 0; i < MANIFEST_FILES; i++)
		if (manifest->files[i].size > files[i].size_max)
			return false;
	for (size_t i = 0; i < manifest->log_count; i++) {
		const struct manifest_log *log = &manifest->logs[i];

		if (log_name_parse(bytes_str(log->origin.text), NULL, NULL, NULL) != OK ||
			!log_ok(log, i > 0 ? log - 1 : NULL))
			return false;
	}
	return true;
}

enum err manifest_write(const struct manifest *manifest, struct buf *out)
{
	char created[MANIFEST_TIME_SIZE];
	size_t start = out->size;
	struct hash seal;

	if (!writable(manifest))
		return ERR_INVALID;
	manifest_time(manifest->created_s, created);
	buf_printf(out, HEAD "%d\nnode %s\nnetwork %s\ncreated %s\n", MANIFEST_VERSION,
		manifest->node, manifest->network, created);
	buf_printf(out, "store-format %" PRIu32 "\ncommits %" PRIu64 "\n", manifest->store_format,
		manifest->commits);
	for (size_t i = 0; i < MANIFEST_FILES; i++) {
		buf_printf(out, "file %" PRIu64 " ", manifest->files[i].size);
		hex_put(out, &manifest->files[i].sha256);
		buf_printf(out, " %s\n", files[i].path);
	}
	for (size_t i = 0; i < manifest->log_count; i++)
		log_put(out, &manifest->logs[i]);
	TRY(out->err);
	sha256(bytes_make(out->data + start, out->size - start), &seal);
	buf_put_str(out, SEAL);
	hex_put(out, &seal);
	buf_put_u8(out, '\n');
	return out->err;
}

/* Reading. */

struct parser {
	struct cursor rest;
	unsigned line;
	struct errctx *ctx;
};

static enum err bad(struct parser *parser, enum err err, const char *what)
{
	return err_set(parser->ctx, err, "line %u: %s", parser->line, what);
}

/* The rest of the line behind "key ", as a cursor of its own. */
static enum err line_take(struct parser *parser, const char *key, struct cursor *ret)
{
	struct bytes line = cursor_until(&parser->rest, '\n');
	struct cursor cursor = cursor_make(line);

	parser->line++;
	if (parser->rest.err != OK || !cursor_skip(&cursor, bytes_str(key)) ||
		!cursor_skip(&cursor, bytes_str(" ")))
		return err_set(parser->ctx, ERR_MALFORMED, "line %u: there should stand '%s ..'",
			parser->line, key);
	*ret = cursor;
	return OK;
}

static enum err number_take(struct parser *parser, struct bytes text, uint64_t max, uint64_t *ret)
{
	enum err err = decimal_parse(text, max, ret);

	return err == OK ? OK : bad(parser, err, "a number is not readable or too large");
}

/* Lower case only: one text for one content. */
static enum err hex_take(struct parser *parser, struct bytes text, struct hash *ret)
{
	char again[HEX_SIZE + 1];
	struct hash hash;

	if (hex_decode(text, hash.b, HASH_SIZE) == OK) {
		hex_encode(hash_bytes(&hash), again);
		if (bytes_equal_str(text, again)) {
			*ret = hash;
			return OK;
		}
	}
	return bad(parser, ERR_MALFORMED, "a SHA-256 is not readable");
}

static enum err root_take(struct parser *parser, struct bytes text, struct hash *ret)
{
	struct buf buf;
	enum err err;

	buf_init(&buf, HASH_SIZE);
	err = base64_decode(text, &buf);
	if (err == OK && buf.size == HASH_SIZE)
		memcpy(ret->b, buf.data, HASH_SIZE);
	else if (err != ERR_NOMEM)
		err = bad(parser, ERR_MALFORMED, "a root is not readable");
	buf_release(&buf);
	return err;
}

/* Does it end in its own hash? Before anything else is believed. */
static enum err seal_check(struct bytes text, struct bytes *ret_body, struct errctx *ctx)
{
	struct bytes body = bytes_make(text.data, text.size - SEAL_SIZE), line;
	struct parser parser = {.ctx = NULL};
	struct hash seal, hash;

	line = bytes_make(text.data + body.size, SEAL_SIZE);
	if (memcmp(line.data, SEAL, sizeof(SEAL) - 1) != 0 || line.data[SEAL_SIZE - 1] != '\n' ||
		hex_take(&parser, bytes_make(line.data + sizeof(SEAL) - 1, HEX_SIZE), &seal) != OK)
		return err_set(ctx, ERR_MALFORMED,
			"it does not end in its own SHA-256: cut short or changed");
	sha256(body, &hash);
	if (!hash_equal(&hash, &seal))
		return err_set(ctx, ERR_MALFORMED,
			"it is not what its own SHA-256 says: changed or damaged");
	*ret_body = body;
	return OK;
}

static enum err version_check(struct bytes text, struct errctx *ctx)
{
	struct cursor cursor = cursor_make(text);
	struct bytes number;
	uint64_t version;

	if (!cursor_skip(&cursor, bytes_str(HEAD)))
		return err_set(ctx, ERR_MALFORMED, "it does not begin with '" HEAD "..'");
	number = cursor_until(&cursor, '\n');
	if (cursor.err != OK || decimal_parse(number, UINT32_MAX, &version) != OK || version == 0)
		return err_set(ctx, ERR_MALFORMED, "line 1: the version is not readable");
	if (version > MANIFEST_VERSION)
		return err_set(ctx, ERR_VERSION,
			"made by a newer Sauti: backup format %u, this one knows up to %d",
			(unsigned)version, MANIFEST_VERSION);
	return OK;
}

static enum err names_parse(struct parser *parser, struct manifest *manifest)
{
	struct cursor value;

	TRY(line_take(parser, "node", &value));
	if (!node_name_valid(value.rest))
		return bad(parser, ERR_MALFORMED, "not a node's name");
	memcpy(manifest->node, value.rest.data, value.rest.size);
	TRY(line_take(parser, "network", &value));
	if (!network_name_valid(value.rest))
		return bad(parser, ERR_MALFORMED, "not a network's name");
	memcpy(manifest->network, value.rest.data, value.rest.size);
	return OK;
}

static enum err created_parse(struct parser *parser, struct manifest *manifest)
{
	char text[MANIFEST_TIME_SIZE] = "", again[MANIFEST_TIME_SIZE];
	struct tm tm = {0};
	struct cursor value;
	time_t seconds;

	TRY(line_take(parser, "created", &value));
	if (value.rest.size == sizeof(text) - 1)
		memcpy(text, value.rest.data, value.rest.size);
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		    &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return bad(parser, ERR_MALFORMED, "not a time like 2026-11-26T14:00:00Z");
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	seconds = timegm(&tm);
	if (seconds >= 0)
		manifest_time((uint64_t)seconds, again);
	if (seconds < 0 || strcmp(text, again) != 0)
		return bad(parser, ERR_MALFORMED, "not a time like 2026-11-26T14:00:00Z");
	manifest->created_s = (uint64_t)seconds;
	return OK;
}

static enum err counts_parse(struct parser *parser, struct manifest *manifest)
{
	struct cursor value;
	uint64_t format;

	TRY(line_take(parser, "store-format", &value));
	TRY(number_take(parser, value.rest, UINT32_MAX, &format));
	manifest->store_format = (uint32_t)format;
	TRY(line_take(parser, "commits", &value));
	return number_take(parser, value.rest, UINT64_MAX, &manifest->commits);
}

static enum err files_parse(struct parser *parser, struct manifest *manifest)
{
	struct cursor value;

	for (size_t i = 0; i < MANIFEST_FILES; i++) {
		struct manifest_file *file = &manifest->files[i];
		struct bytes size, sha256_hex;

		TRY(line_take(parser, "file", &value));
		size = cursor_until(&value, ' ');
		sha256_hex = cursor_until(&value, ' ');
		if (value.err != OK || !bytes_equal_str(value.rest, files[i].path))
			return err_set(parser->ctx, ERR_MALFORMED,
				"line %u: there should stand '%s'", parser->line, files[i].path);
		TRY(number_take(parser, size, files[i].size_max, &file->size));
		TRY(hex_take(parser, sha256_hex, &file->sha256));
	}
	return OK;
}

static enum err log_parse(
	struct parser *parser, struct manifest_log *log, const struct manifest_log *before)
{
	struct bytes size, checkpoint_size, root;
	struct cursor value;

	TRY(line_take(parser, "log", &value));
	size = cursor_until(&value, ' ');
	checkpoint_size = cursor_until(&value, ' ');
	root = cursor_until(&value, ' ');
	if (value.err != OK || log_name_parse(value.rest, &log->origin, NULL, NULL) != OK)
		return bad(parser, ERR_MALFORMED, "not a log's size, checkpoint and origin");
	TRY(number_take(parser, size, LIMIT_LOG_SIZE, &log->size));
	TRY(number_take(parser, checkpoint_size, log->size, &log->checkpoint_size));
	if (log->checkpoint_size > 0)
		TRY(root_take(parser, root, &log->root));
	else if (!bytes_equal_str(root, "-"))
		return bad(parser, ERR_MALFORMED, "a root without a checkpoint");
	if (!log_ok(log, before))
		return bad(parser, ERR_MALFORMED, "the logs are not in the order of their origins");
	return OK;
}

static enum err logs_parse(struct parser *parser, struct manifest *manifest)
{
	size_t lines = 0;

	for (size_t i = 0; i < parser->rest.rest.size; i++)
		lines += parser->rest.rest.data[i] == '\n';
	if (lines > LIMIT_LOGS)
		return err_set(parser->ctx, ERR_LIMIT, "more than %d logs", LIMIT_LOGS);
	if (lines > 0) {
		manifest->logs = mem_array(lines, sizeof(*manifest->logs));
		if (manifest->logs == NULL)
			return ERR_NOMEM;
	}
	for (size_t i = 0; i < lines; i++) {
		struct manifest_log *log = &manifest->logs[i];

		TRY(log_parse(parser, log, i > 0 ? log - 1 : NULL));
		manifest->log_count++;
	}
	return cursor_finish(&parser->rest) == OK
		       ? OK
		       : bad(parser, ERR_MALFORMED, "it does not end with a line");
}

static enum err body_parse(struct parser *parser, struct manifest *manifest)
{
	struct cursor value;

	TRY(line_take(parser, "sauti-backup", &value));
	if (!bytes_equal_str(value.rest, "1"))
		return bad(parser, ERR_MALFORMED, "the version is not readable");
	TRY(names_parse(parser, manifest));
	TRY(created_parse(parser, manifest));
	TRY(counts_parse(parser, manifest));
	TRY(files_parse(parser, manifest));
	return logs_parse(parser, manifest);
}

enum err manifest_parse(struct bytes text, struct manifest *ret, struct errctx *ctx)
{
	struct parser parser = {.ctx = ctx};
	struct manifest manifest = {0};
	struct bytes body = BYTES_NONE;
	enum err err;

	if (text.size > LIMIT_BACKUP_MANIFEST)
		return err_set(ctx, ERR_LIMIT, "larger than %d bytes", LIMIT_BACKUP_MANIFEST);
	/* A newer one may end in another way. */
	TRY(version_check(text, ctx));
	if (text.size <= SEAL_SIZE)
		return err_set(ctx, ERR_MALFORMED, "it is cut short");
	TRY(seal_check(text, &body, ctx));
	parser.rest = cursor_make(body);
	err = body_parse(&parser, &manifest);
	if (err != OK) {
		manifest_release(&manifest);
		return err;
	}
	*ret = manifest;
	return OK;
}
