/*
 * The state of the last visit. Logs are kept in order of their origins, each in one piece of memory
 * with the bytes that its views show.
 */
#include "replication/audit/remembered.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/text.h"
#include "certs/record.h"

#define HEAD    "sauti-audit-state "
#define VERSION "1"

enum { VKEY_MAX = NOTE_KEY_NAME_MAX + 128 };

struct remembered {
	char network[LIMIT_NETWORK_NAME + 1];
	char directory[VKEY_MAX];
	uint64_t visited_at;
	struct remembered_log **logs;
	size_t count, capacity;
};

static size_t peak_count(uint64_t size)
{
	size_t count = 0;

	for (; size != 0; size &= size - 1)
		count++;
	return count;
}

/* --- life and looks --- */

static enum err check_directory(const char *vkey)
{
	struct note_key key;
	enum err err;

	if (vkey[0] == '\0')
		return OK;
	if (strlen(vkey) >= VKEY_MAX)
		return ERR_INVALID;
	err = note_key_parse(bytes_str(vkey), &key);
	return err == OK || err == ERR_NOMEM ? err : ERR_INVALID;
}

enum err remembered_new(const char *network, const char *vkey, struct remembered **ret)
{
	struct remembered *remembered;

	if (!network_name_valid(bytes_str(network)))
		return ERR_INVALID;
	TRY(check_directory(vkey));
	remembered = mem_zalloc(sizeof(*remembered));
	if (remembered == NULL)
		return ERR_NOMEM;
	strcpy(remembered->network, network);
	strcpy(remembered->directory, vkey);
	*ret = remembered;
	return OK;
}

void remembered_free(struct remembered *remembered)
{
	if (remembered == NULL)
		return;
	for (size_t i = 0; i < remembered->count; i++)
		mem_free(remembered->logs[i]);
	mem_free(remembered->logs);
	mem_free(remembered);
}

const char *remembered_network(const struct remembered *remembered)
{
	return remembered->network;
}

const char *remembered_directory(const struct remembered *remembered)
{
	return remembered->directory;
}

uint64_t remembered_visited_at(const struct remembered *remembered)
{
	return remembered->visited_at;
}

void remembered_set_visited_at(struct remembered *remembered, uint64_t time_s)
{
	remembered->visited_at = time_s;
}

size_t remembered_count(const struct remembered *remembered)
{
	return remembered->count;
}

const struct remembered_log *remembered_at(const struct remembered *remembered, size_t i)
{
	return remembered->logs[i];
}

/* Where it stands, or would. */
static size_t place_of(const struct remembered *remembered, const char *origin, bool *ret_there)
{
	size_t low = 0, high = remembered->count;

	*ret_there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = strcmp(remembered->logs[middle]->checkpoint.origin.text, origin);

		if (c == 0) {
			*ret_there = true;
			return middle;
		}
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct remembered_log *remembered_find(
	const struct remembered *remembered, const char *origin)
{
	bool there;
	size_t place = place_of(remembered, origin, &there);

	return there ? remembered->logs[place] : NULL;
}

void remembered_tree(const struct remembered_log *log, struct compact *ret)
{
	compact_init(ret);
	ret->size = log->checkpoint.size;
	memcpy(ret->peaks, log->peaks, peak_count(ret->size) * sizeof(struct hash));
}

/* --- putting --- */

static enum err read_opened(
	struct remembered_log *log, const struct ed25519_public *node, struct errctx *ctx)
{
	struct log_opened opened;
	struct arena arena;
	enum err err;

	if (log->opened.size > LIMIT_LOG_OPENED)
		return err_set(ctx, ERR_INVALID, "a LogOpened of %zu bytes", log->opened.size);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = log_opened_read(log->opened, node, &arena, &opened, ctx);
	if (err == OK && strcmp(opened.origin, log->checkpoint.origin.text) != 0)
		err = err_set(ctx, ERR_INVALID, "its LogOpened is of another log");
	if (err == OK)
		err = log_note_key(&log->checkpoint.origin, &opened.log_key, &log->key);
	arena_release(&arena);
	return err == ERR_MALFORMED || err == ERR_LIMIT ? ERR_INVALID : err;
}

/* Do the parts belong together? Fills in checkpoint and key. */
static enum err check_log(struct remembered_log *log, struct errctx *ctx)
{
	struct compact tree;
	struct hash root;
	enum err err = checkpoint_peek(log->note, &log->checkpoint, ctx);

	if (err == ERR_MALFORMED || err == ERR_LIMIT)
		return ERR_INVALID;
	TRY(err);
	if (log->checkpoint.size == 0)
		return err_set(ctx, ERR_INVALID, "a checkpoint of nothing");
	TRY(read_opened(log, NULL, ctx));
	remembered_tree(log, &tree);
	compact_root(&tree, &root);
	if (!hash_equal(&root, &log->checkpoint.root))
		return err_set(ctx, ERR_INVALID, "its peaks are not those of its checkpoint");
	return OK;
}

static enum err copy_log(const struct remembered_log *from, struct remembered_log **ret)
{
	size_t peaks = peak_count(from->checkpoint.size) * sizeof(struct hash);
	struct remembered_log *log =
		mem_alloc(sizeof(*log) + peaks + from->note.size + from->opened.size);
	uint8_t *at;

	if (log == NULL)
		return ERR_NOMEM;
	*log = *from;
	at = (uint8_t *)(log + 1);
	memcpy(at, from->peaks, peaks);
	log->peaks = (const struct hash *)at;
	at += peaks;
	memcpy(at, from->note.data, from->note.size);
	log->note.data = at;
	at += from->note.size;
	memcpy(at, from->opened.data, from->opened.size);
	log->opened.data = at;
	*ret = log;
	return OK;
}

static enum err make_room(struct remembered *remembered)
{
	size_t capacity = remembered->capacity == 0 ? 16 : 2 * remembered->capacity;
	struct remembered_log **logs;

	if (remembered->count < remembered->capacity)
		return OK;
	logs = mem_resize(remembered->logs, capacity * sizeof(struct remembered_log *));
	if (logs == NULL)
		return ERR_NOMEM;
	remembered->logs = logs;
	remembered->capacity = capacity;
	return OK;
}

enum err remembered_put(
	struct remembered *remembered, const struct remembered_log *log, struct errctx *ctx)
{
	struct remembered_log checked = *log, *copy;
	size_t place;
	bool there;

	TRY(check_log(&checked, ctx));
	place = place_of(remembered, checked.checkpoint.origin.text, &there);
	if (!there && remembered->count == LIMIT_LOGS)
		return err_set(ctx, ERR_LIMIT, "more than %d logs", LIMIT_LOGS);
	TRY(make_room(remembered));
	TRY(copy_log(&checked, &copy));
	if (there) {
		mem_free(remembered->logs[place]);
	} else {
		memmove(&remembered->logs[place + 1], &remembered->logs[place],
			(remembered->count - place) * sizeof(struct remembered_log *));
		remembered->count++;
	}
	remembered->logs[place] = copy;
	return OK;
}

/* --- the file --- */

static void write_log(const struct remembered_log *log, struct buf *out)
{
	buf_printf(out, "log %s\nchanged %" PRIu64 "\ncosigned %" PRIu64 "\nnode ",
		log->checkpoint.origin.text, log->changed_at, log->cosigned_at);
	if (log->node_known)
		base64_encode(out, BYTES_ARRAY(log->node.b));
	else
		buf_put_str(out, "-");
	buf_put_str(out, "\nopened ");
	base64_encode(out, log->opened);
	buf_put_str(out, "\npeaks ");
	base64_encode(out,
		bytes_make(log->peaks, peak_count(log->checkpoint.size) * sizeof(struct hash)));
	buf_put_str(out, "\nnote ");
	base64_encode(out, log->note);
	buf_put_str(out, "\n");
}

enum err remembered_write(const struct remembered *remembered, struct buf *out)
{
	size_t from = out->size;
	char hex[2 * HASH_SIZE + 1];
	struct hash hash;

	buf_printf(out, HEAD VERSION "\nnetwork %s\ndirectory %s\nvisited %" PRIu64 "\n",
		remembered->network, remembered->directory[0] == '\0' ? "-" : remembered->directory,
		remembered->visited_at);
	for (size_t i = 0; i < remembered->count; i++)
		write_log(remembered->logs[i], out);
	TRY(out->err);
	sha256(bytes_make(out->data + from, out->size - from), &hash);
	hex_encode(hash_bytes(&hash), hex);
	buf_printf(out, "sha256 %s\n", hex);
	return out->err;
}

struct reading {
	struct cursor cursor;
	unsigned line;
	struct errctx *ctx;
	struct buf note, opened, peaks;
};

static enum err bad_line(const struct reading *r, const char *what)
{
	return err_set(r->ctx, ERR_MALFORMED, "line %u: %s", r->line, what);
}

/* The value of the next line, which begins with that word. */
static enum err read_line(struct reading *r, const char *word, struct bytes *ret)
{
	r->line++;
	if (!cursor_skip(&r->cursor, bytes_str(word)) || !cursor_skip(&r->cursor, bytes_str(" ")))
		return err_set(r->ctx, ERR_MALFORMED, "line %u: no '%s'", r->line, word);
	*ret = cursor_until(&r->cursor, '\n');
	return r->cursor.err == OK ? OK : bad_line(r, "it has no end");
}

static enum err read_number(struct reading *r, const char *word, uint64_t *ret)
{
	struct bytes text;

	TRY(read_line(r, word, &text));
	return decimal_parse(text, INT64_MAX, ret) == OK ? OK : bad_line(r, "no number");
}

/* A short word as a C string. */
static enum err read_word(struct reading *r, const char *word, char *ret, size_t size)
{
	struct bytes text;

	TRY(read_line(r, word, &text));
	if (text.size >= size || memchr(text.data, '\0', text.size) != NULL)
		return bad_line(r, "too long, or no text");
	memcpy(ret, text.data, text.size);
	ret[text.size] = '\0';
	return OK;
}

static enum err read_bytes(struct reading *r, const char *word, struct buf *out)
{
	struct bytes text;
	enum err err;

	TRY(read_line(r, word, &text));
	buf_clear(out);
	err = base64_decode(text, out);
	return err == OK || err == ERR_NOMEM ? err : bad_line(r, "no base64, or too long");
}

static enum err read_node(struct reading *r, struct remembered_log *log)
{
	char text[64];
	struct buf key;
	enum err err;

	TRY(read_word(r, "node", text, sizeof(text)));
	log->node_known = strcmp(text, "-") != 0;
	if (!log->node_known)
		return OK;
	buf_init(&key, sizeof(text));
	err = base64_decode(bytes_str(text), &key);
	if (err == OK && key.size == ED25519_PUBLIC_SIZE)
		memcpy(log->node.b, key.data, ED25519_PUBLIC_SIZE);
	else if (err != ERR_NOMEM)
		err = bad_line(r, "no key");
	buf_release(&key);
	return err;
}

static enum err read_log(struct reading *r, struct remembered *remembered)
{
	struct remembered_log log = {.note = BYTES_NONE};
	char origin[LIMIT_LOG_NAME + 1];
	struct checkpoint checkpoint;
	unsigned first = r->line + 1;
	enum err err;

	TRY(read_word(r, "log", origin, sizeof(origin)));
	TRY(read_number(r, "changed", &log.changed_at));
	TRY(read_number(r, "cosigned", &log.cosigned_at));
	TRY(read_node(r, &log));
	TRY(read_bytes(r, "opened", &r->opened));
	TRY(read_bytes(r, "peaks", &r->peaks));
	TRY(read_bytes(r, "note", &r->note));
	err = checkpoint_peek(buf_bytes(&r->note), &checkpoint, r->ctx);
	if (err == ERR_NOMEM)
		return err;
	if (err != OK || r->peaks.size != peak_count(checkpoint.size) * sizeof(struct hash))
		return bad_line(r, "the note is none, or of another size than its peaks");
	if (strcmp(checkpoint.origin.text, origin) != 0)
		return bad_line(r, "a note of another log");
	if (remembered->count > 0 &&
		strcmp(remembered->logs[remembered->count - 1]->checkpoint.origin.text, origin) >=
			0)
		return err_set(r->ctx, ERR_MALFORMED, "line %u: logs out of order", first);
	log.note = buf_bytes(&r->note);
	log.opened = buf_bytes(&r->opened);
	log.peaks = (const struct hash *)r->peaks.data;
	err = remembered_put(remembered, &log, r->ctx);
	return err == ERR_INVALID ? err_wrap(r->ctx, ERR_MALFORMED, "line %u", first) : err;
}

static enum err read_head(struct reading *r, struct remembered **ret)
{
	char version[8], network[LIMIT_NETWORK_NAME + 1], directory[VKEY_MAX];
	struct remembered *remembered;
	uint64_t visited_at;
	enum err err;

	TRY(read_word(r, "sauti-audit-state", version, sizeof(version)));
	if (strcmp(version, VERSION) != 0)
		return err_set(r->ctx, ERR_VERSION, "it is of another version than " VERSION);
	TRY(read_word(r, "network", network, sizeof(network)));
	TRY(read_word(r, "directory", directory, sizeof(directory)));
	TRY(read_number(r, "visited", &visited_at));
	if (directory[0] == '\0')
		return bad_line(r, "no directory");
	err = remembered_new(network, strcmp(directory, "-") == 0 ? "" : directory, &remembered);
	if (err == ERR_INVALID)
		return bad_line(r, "no network, or no verifier key");
	TRY(err);
	remembered->visited_at = visited_at;
	*ret = remembered;
	return OK;
}

static enum err check_hash(struct reading *r, struct bytes file)
{
	size_t size = file.size - r->cursor.rest.size;
	char text[2 * HASH_SIZE + 1], hex[2 * HASH_SIZE + 1];
	struct hash hash;

	TRY(read_word(r, "sha256", text, sizeof(text)));
	if (r->cursor.rest.size != 0)
		return bad_line(r, "there is more behind it");
	sha256(bytes_make(file.data, size), &hash);
	hex_encode(hash_bytes(&hash), hex);
	return strcmp(hex, text) == 0
		       ? OK
		       : err_set(r->ctx, ERR_CORRUPT, "it was damaged: its hash is another");
}

static enum err read_logs(struct reading *r, struct bytes file, struct remembered *remembered)
{
	struct cursor ahead = r->cursor;

	while (cursor_skip(&ahead, bytes_str("log "))) {
		TRY(read_log(r, remembered));
		ahead = r->cursor;
	}
	return check_hash(r, file);
}

enum err remembered_parse(struct bytes file, struct remembered **ret, struct errctx *ctx)
{
	struct reading r = {.cursor = cursor_make(file), .ctx = ctx};
	struct remembered *remembered = NULL;
	enum err err;

	if (file.size > LIMIT_AUDIT_STATE)
		return err_set(ctx, ERR_LIMIT, "a state of %zu bytes", file.size);
	buf_init(&r.note, LIMIT_NOTE_SIZE);
	buf_init(&r.opened, LIMIT_LOG_OPENED);
	buf_init(&r.peaks, 64 * sizeof(struct hash));
	err = read_head(&r, &remembered);
	if (err == OK)
		err = read_logs(&r, file, remembered);
	buf_release(&r.note);
	buf_release(&r.opened);
	buf_release(&r.peaks);
	if (err == OK)
		*ret = remembered;
	else
		remembered_free(remembered);
	return err;
}

/* --- whose it is --- */

static enum err verify_log(const struct remembered_log *log, struct errctx *ctx)
{
	struct remembered_log copy = *log;
	struct checkpoint checkpoint;
	enum err err = read_opened(&copy, log->node_known ? &log->node : NULL, ctx);

	if (err == OK)
		err = checkpoint_open(log->note, &copy.key, &checkpoint, NULL, ctx);
	if (err == OK || err == ERR_NOMEM || err == ERR_CRYPTO)
		return err;
	return err_wrap(ctx, ERR_UNTRUSTED, "log '%s': what it remembers was never signed",
		log->checkpoint.origin.text);
}

enum err remembered_verify(const struct remembered *remembered, const char *network,
	const char *vkey, struct errctx *ctx)
{
	if (strcmp(remembered->network, network) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "it is of the network '%s', not of '%s'",
			remembered->network, network);
	if (vkey[0] != '\0' && remembered->directory[0] != '\0' &&
		strcmp(remembered->directory, vkey) != 0)
		return err_set(ctx, ERR_UNTRUSTED,
			"it is of another directory: of a key that was not given");
	for (size_t i = 0; i < remembered->count; i++)
		TRY(verify_log(remembered->logs[i], ctx));
	return OK;
}
