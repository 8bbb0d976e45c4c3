#include "server/backup/report.h"

#include "base/text.h"

uint64_t report_entries(const struct manifest *manifest)
{
	uint64_t entries = 0;

	for (size_t i = 0; i < manifest->log_count; i++)
		entries += manifest->logs[i].size;
	return entries;
}

uint64_t report_bytes(const struct manifest *manifest)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < MANIFEST_FILES; i++)
		bytes += manifest->files[i].size;
	return bytes;
}

static json_t *root_json(const struct manifest_log *log)
{
	struct buf text;
	json_t *json;

	if (log->checkpoint_size == 0)
		return json_null();
	buf_init(&text, 64);
	base64_encode(&text, hash_bytes(&log->root));
	json = json_string(buf_cstr(&text));
	buf_release(&text);
	return json;
}

static json_t *logs_json(const struct manifest *manifest)
{
	json_t *list;

	if (manifest->log_count > REPORT_LOGS)
		return json_null();
	list = json_array();
	for (size_t i = 0; i < manifest->log_count; i++) {
		const struct manifest_log *log = &manifest->logs[i];

		json_array_append_new(
			list, json_pack("{s:s,s:I,s:I,s:o}", "origin", log->origin.text, "size",
				      (json_int_t)log->size, "checkpoint_size",
				      (json_int_t)log->checkpoint_size, "root", root_json(log)));
	}
	return list;
}

json_t *report_json(const char *key, const char *path, const struct manifest *manifest)
{
	char created[MANIFEST_TIME_SIZE];

	manifest_time(manifest->created_s, created);
	/* A path that is not UTF-8 is no JSON string: it is left out. */
	json_t *place = json_string(path);

	return json_pack("{s:o,s:s,s:s,s:s,s:I,s:i,s:I,s:I,s:I,s:o}", key,
		place != NULL ? place : json_null(), "node", manifest->node, "network",
		manifest->network, "created", created, "commits", (json_int_t)manifest->commits,
		"store_format", (int)manifest->store_format, "entries",
		(json_int_t)report_entries(manifest), "bytes", (json_int_t)report_bytes(manifest),
		"log_count", (json_int_t)manifest->log_count, "logs", logs_json(manifest));
}
