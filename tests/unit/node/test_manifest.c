#include "node_test.h"

#include "base/text.h"
#include "node/config.h"
#include "node/genesis.h"
#include "node/manifest.h"
#include "tests/unit/base/failing_alloc.h"

#define NETWORK "ovra.example"

static struct hash hash_of(unsigned n)
{
	struct hash hash;

	memset(hash.b, (int)n, sizeof(hash.b));
	return hash;
}

static struct manifest_log log_of(unsigned counter, uint64_t size, uint64_t checkpoint_size)
{
	struct manifest_log log = {.size = size, .checkpoint_size = checkpoint_size};
	uint8_t random[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	if (checkpoint_size > 0)
		log.root = hash_of(counter);
	assert_ok(
		origin_make(bytes_str(NETWORK), bytes_str("haiti"), counter, random, &log.origin));
	return log;
}

static struct manifest example(struct manifest_log *logs, size_t count)
{
	struct manifest manifest = {
		.node = "haiti",
		.network = NETWORK,
		.created_s = 1795701600,
		.store_format = 1,
		.commits = 42,
		.logs = logs,
		.log_count = count,
	};

	for (unsigned i = 0; i < MANIFEST_FILES; i++)
		manifest.files[i] = (struct manifest_file){100 + i, hash_of(0xa0 + i)};
	return manifest;
}

static const char text_expected[] =
	"sauti-backup 1\n"
	"node haiti\n"
	"network ovra.example\n"
	"created 2026-11-26T14:00:00Z\n"
	"store-format 1\n"
	"commits 42\n"
	"file 100 a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0 sauti.conf\n"
	"file 101 a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 certs/node.pem\n"
	"file 102 a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2 certs/root.pem\n"
	"file 103 a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3 genesis\n"
	"file 104 a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4 store/data.mdb\n"
	"log 12 10 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= "
	"ovra.example/haiti/1-0102030405060708\n"
	"log 3 0 - ovra.example/haiti/2-0102030405060708\n";

/* text, and the last line that belongs behind it. */
static void seal(struct buf *out, struct bytes text)
{
	char hex[2 * HASH_SIZE + 1];
	struct hash hash;

	sha256(text, &hash);
	hex_encode(hash_bytes(&hash), hex);
	buf_init(out, 2 * LIMIT_BACKUP_MANIFEST);
	buf_put(out, text);
	buf_printf(out, "sha256 %s\n", hex);
	assert_ok(out->err);
}

static void test_there_and_back(void **state)
{
	struct manifest_log logs[2] = {log_of(2, 3, 0), log_of(1, 12, 10)};
	struct manifest manifest = example(logs, 2), again;
	struct buf out, expected;

	manifest_sort(&manifest);
	seal(&expected, bytes_str(text_expected));
	buf_init(&out, LIMIT_BACKUP_MANIFEST);
	assert_ok(manifest_write(&manifest, &out));
	assert_string_equal(buf_cstr(&out), buf_cstr(&expected));
	assert_ok(manifest_parse(buf_bytes(&out), &again, NULL));
	assert_string_equal(again.node, "haiti");
	assert_string_equal(again.network, NETWORK);
	assert_int_equal(again.created_s, manifest.created_s);
	assert_int_equal(again.store_format, 1);
	assert_int_equal(again.commits, 42);
	assert_memory_equal(again.files, manifest.files, sizeof(again.files));
	assert_int_equal(again.log_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(again.logs[i].origin.text, logs[i].origin.text);
		assert_int_equal(again.logs[i].size, logs[i].size);
		assert_int_equal(again.logs[i].checkpoint_size, logs[i].checkpoint_size);
		assert_true(hash_equal(&again.logs[i].root, &logs[i].root));
	}
	manifest_release(&again);
	buf_release(&out);
	buf_release(&expected);
}

static void test_without_logs(void **state)
{
	struct manifest manifest = example(NULL, 0), again;
	struct buf out;

	buf_init(&out, LIMIT_BACKUP_MANIFEST);
	assert_ok(manifest_write(&manifest, &out));
	assert_ok(manifest_parse(buf_bytes(&out), &again, NULL));
	assert_int_equal(again.log_count, 0);
	assert_null(again.logs);
	buf_release(&out);
}

/* As many logs as a store may hold fit, with the longest names and sizes; one more does not. */
static void test_logs_cap(void **state)
{
	size_t count = LIMIT_LOGS + 1;
	struct manifest_log *logs = calloc(count, sizeof(*logs));
	struct manifest manifest = example(logs, LIMIT_LOGS), again;
	struct errctx ctx = {""};
	struct buf out, more;
	char network[LIMIT_NETWORK_NAME + 1] = "", node[LIMIT_NODE_NAME + 1] = "";
	uint8_t random[8] = {0};

	assert_non_null(logs);
	memset(network, 'a', LIMIT_NETWORK_NAME);
	network[3] = '.';
	memset(node, 'b', LIMIT_NODE_NAME);
	strcpy(manifest.network, network);
	strcpy(manifest.node, node);
	for (size_t i = 0; i < count; i++) {
		logs[i] = (struct manifest_log){.size = LIMIT_LOG_SIZE,
			.checkpoint_size = LIMIT_LOG_SIZE,
			.root = hash_of((unsigned)i)};
		assert_ok(origin_make(bytes_str(network), bytes_str(node),
			(uint32_t)(4000000000u + i), random, &logs[i].origin));
	}
	buf_init(&out, LIMIT_BACKUP_MANIFEST);
	assert_ok(manifest_write(&manifest, &out));
	assert_ok(manifest_parse(buf_bytes(&out), &again, NULL));
	assert_int_equal(again.log_count, LIMIT_LOGS);
	manifest_release(&again);

	manifest.log_count = count;
	assert_int_equal(manifest_write(&manifest, &out), ERR_INVALID);
	/* By hand: the same line once more, and its hash. */
	out.size -= 72; /* the last line */
	buf_printf(&out, "log 3 0 - %s\n", logs[count - 1].origin.text);
	seal(&more, buf_bytes(&out));
	assert_int_equal(manifest_parse(buf_bytes(&more), &again, &ctx), ERR_LIMIT);
	assert_says(ctx, "more than 4096 logs");
	buf_release(&more);
	buf_release(&out);
	free(logs);
}

static void test_size_cap(void **state)
{
	struct manifest again;
	struct errctx ctx = {""};
	struct buf text;

	buf_init(&text, LIMIT_BACKUP_MANIFEST + 1);
	buf_put_zeros(&text, LIMIT_BACKUP_MANIFEST);
	assert_int_equal(manifest_parse(buf_bytes(&text), &again, &ctx), ERR_MALFORMED);
	buf_put_zeros(&text, 1);
	assert_int_equal(manifest_parse(buf_bytes(&text), &again, &ctx), ERR_LIMIT);
	buf_release(&text);
}

/* No changed, missing or added byte is taken, but as a newer version, which is refused too. */
static void test_every_byte(void **state)
{
	struct manifest again;
	struct errctx ctx;
	struct buf text;

	seal(&text, bytes_str(text_expected));
	for (size_t i = 0; i < text.size; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			enum err err;

			text.data[i] ^= (uint8_t)(1u << bit);
			ctx.text[0] = '\0';
			err = manifest_parse(buf_bytes(&text), &again, &ctx);
			assert_true(err == ERR_MALFORMED || (i == 13 && err == ERR_VERSION));
			assert_true(ctx.text[0] != '\0');
			text.data[i] ^= (uint8_t)(1u << bit);
		}
	}
	for (size_t size = 0; size < text.size; size++)
		assert_int_equal(
			manifest_parse(bytes_make(text.data, size), &again, NULL), ERR_MALFORMED);
	buf_put_str(&text, "\n");
	assert_int_equal(manifest_parse(buf_bytes(&text), &again, NULL), ERR_MALFORMED);
	buf_release(&text);
}

/* The example with one part replaced, and what is said of it although its hash is right. */
static const struct {
	const char *from, *to, *says;
	enum err err;
} wrong[] = {
	{"sauti-backup 1\n", "sauti-backup 2\n", "made by a newer Sauti: backup format 2",
		ERR_VERSION},
	{"sauti-backup 1\n", "sauti-backup 4294967296\n", "line 1", ERR_MALFORMED},
	{"sauti-backup 1\n", "sauti-backup 01\n", "line 1", ERR_MALFORMED},
	{"sauti-backup 1\n", "sauti-backup 0\n", "line 1", ERR_MALFORMED},
	{"sauti-backup 1\n", "BACKUP\n", "begin", ERR_MALFORMED},
	{"node haiti\n", "node Haiti\n", "line 2", ERR_MALFORMED},
	{"node haiti\n", "name haiti\n", "line 2: there should stand 'node ..'", ERR_MALFORMED},
	{"node haiti\n", "", "line 2", ERR_MALFORMED},
	{"node haiti\n", "node haiti\nnode haiti\n", "line 3", ERR_MALFORMED},
	{"network ovra.example\n", "network ovra\n", "line 3", ERR_MALFORMED},
	{"2026-11-26T14:00:00Z", "2026-11-31T14:00:00Z", "line 4", ERR_MALFORMED},
	{"2026-11-26T14:00:00Z", "2026-11-26T14:00:00", "line 4", ERR_MALFORMED},
	{"2026-11-26T14:00:00Z", "1926-11-26T14:00:00Z", "line 4", ERR_MALFORMED},
	{"2026-11-26T14:00:00Z", "2026-11-26 14:00:00Z", "line 4", ERR_MALFORMED},
	{"store-format 1", "store-format 4294967296", "line 5", ERR_LIMIT},
	{"commits 42", "commits -1", "line 6", ERR_MALFORMED},
	{"commits 42", "commits 18446744073709551616", "line 6", ERR_LIMIT},
	{" sauti.conf", " ../sauti.conf", "line 7: there should stand 'sauti.conf'", ERR_MALFORMED},
	{" certs/node.pem", " /etc/passwd", "line 8", ERR_MALFORMED},
	{" certs/root.pem", " certs/node.pem", "line 9", ERR_MALFORMED},
	{"file 103", "file 9999999999999", "line 10", ERR_LIMIT},
	{"a4a4 store/", "A4a4 store/", "line 11: a SHA-256", ERR_MALFORMED},
	{"a4a4 store/", "a4a store/", "line 11: a SHA-256", ERR_MALFORMED},
	{"log 12 10", "log 12 13", "line 12", ERR_LIMIT},
	{"log 12 10", "log 281474976710657 10", "line 12", ERR_LIMIT},
	{"AQE= ", "AQF= ", "line 12: a root", ERR_MALFORMED},
	{"AQE= ", "AQE ", "line 12: a root", ERR_MALFORMED},
	{"log 3 0 -", "log 3 0 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "line 13",
		ERR_MALFORMED},
	{"log 3 0 -", "log 3 3 -", "line 13", ERR_MALFORMED},
	{"/2-0102", "/1-0102", "line 13: the logs are not in the order", ERR_MALFORMED},
	{"/2-0102", "/02-0102", "line 13", ERR_MALFORMED},
	{"log 3 0 -", "lag 3 0 -", "line 13", ERR_MALFORMED},
};

static void test_wrong(void **state)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *at = strstr(text_expected, wrong[i].from);
		struct errctx ctx = {""};
		struct manifest again;
		struct buf text, sealed;
		enum err err;

		assert_non_null(at);
		buf_init(&text, LIMIT_BACKUP_MANIFEST);
		buf_put(&text, bytes_make(text_expected, (size_t)(at - text_expected)));
		buf_put_str(&text, wrong[i].to);
		buf_put_str(&text, at + strlen(wrong[i].from));
		seal(&sealed, buf_bytes(&text));
		err = manifest_parse(buf_bytes(&sealed), &again, &ctx);
		if (err != wrong[i].err || strstr(ctx.text, wrong[i].says) == NULL)
			fail_msg("'%s': %s: %s", wrong[i].to, err_name(err), ctx.text);
		buf_release(&text);
		buf_release(&sealed);
	}
}

/* What would be refused is not written. */
static void test_not_written(void **state)
{
	struct manifest_log logs[2] = {log_of(1, 12, 10), log_of(2, 3, 0)};
	struct manifest manifest;
	struct buf out;

	buf_init(&out, LIMIT_BACKUP_MANIFEST);
#define REFUSED(change)                                                                            \
	do {                                                                                       \
		manifest = example(logs, 2);                                                       \
		change;                                                                            \
		assert_int_equal(manifest_write(&manifest, &out), ERR_INVALID);                    \
		assert_int_equal(out.size, 0);                                                     \
	} while (0)
	REFUSED(manifest.node[0] = '\0');
	REFUSED(manifest.network[0] = '-');
	REFUSED(manifest.created_s = UINT64_C(253402300800));
	REFUSED(manifest.files[MANIFEST_STORE].size = LIMIT_BACKUP_STORE + 1);
	REFUSED(manifest.files[MANIFEST_CONFIG].size = LIMIT_CONFIG_SIZE + 1);
	REFUSED(manifest.files[MANIFEST_GENESIS].size = GENESIS_SIZE_MAX + 1);
	logs[1].root = hash_of(9);
	REFUSED((void)0);
	logs[1] = logs[0];
	REFUSED((void)0);
	manifest = example(logs, 1);
	manifest.files[MANIFEST_STORE].size = LIMIT_BACKUP_STORE;
	assert_ok(manifest_write(&manifest, &out));
	buf_release(&out);
}

/* Whichever allocation fails: ERR_NOMEM, and nothing is left. */
static void test_no_memory(void **state)
{
	struct failing_alloc heap;
	struct manifest manifest;
	struct buf text;
	size_t failures = 0;
	enum err err;

	seal(&text, bytes_str(text_expected));
	for (size_t n = 1;; n++) {
		failing_alloc_begin(&heap, n);
		err = manifest_parse(buf_bytes(&text), &manifest, NULL);
		if (err == OK)
			manifest_release(&manifest);
		failing_alloc_end(&heap);
		if (err == OK)
			break;
		assert_int_equal(err, ERR_NOMEM);
		failures++;
	}
	assert_true(failures >= 2);
	buf_release(&text);
}

static int setup(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_without_logs),
		cmocka_unit_test(test_logs_cap),
		cmocka_unit_test(test_size_cap),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_not_written),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
