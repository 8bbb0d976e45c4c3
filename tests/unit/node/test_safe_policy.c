/* [safe] policy: what keeps a node from starting, and how it is said. */
#include "node_test.h"

#include "node/safe_policy.h"

static const struct safe_policy_node self = {"ovra.example", "haiti"};

static struct note_key key_of(const char *name, unsigned number)
{
	uint8_t seed[ED25519_SEED_SIZE] = {(uint8_t)number};
	struct signer *signer;
	struct note_key key;

	assert_ok(signer_new(BYTES_ARRAY(seed), &signer));
	assert_ok(note_key_make(name, NOTE_COSIGNATURE, signer_public(signer), &key));
	signer_free(signer);
	return key;
}

static void put_witness(struct buf *out, const char *label, const char *name, unsigned number)
{
	struct note_key key = key_of(name, number);

	buf_printf(out, "witness %s ", label);
	note_key_format(out, &key);
	buf_put_u8(out, '\n');
}

/* Writes the file, and loads it as a node would. */
static enum err load(
	struct bytes text, const struct safe_policy_node *who, bool *ret_there, struct errctx *ctx)
{
	struct tlog_policy *policy = NULL;
	struct node_config config = {.peer_count = 0};
	enum err err;

	snprintf(config.safe_policy, sizeof(config.safe_policy), "%s", in_dir("safe.policy"));
	assert_ok(files_write(config.safe_policy, text, 0600, ctx));
	ctx->text[0] = '\0';
	err = safe_policy_load(&config, who, &policy, ctx);
	assert_int_equal(policy != NULL, err == OK);
	if (ret_there != NULL)
		*ret_there = policy != NULL;
	tlog_policy_free(policy);
	return err;
}

static void test_none(void **state)
{
	struct node_config config = {.peer_count = 0};
	struct tlog_policy *policy = NULL;
	struct errctx ctx = {""};

	(void)state;
	assert_ok(safe_policy_load(&config, &self, &policy, &ctx));
	assert_null(policy);
	snprintf(config.safe_policy, sizeof(config.safe_policy), "%s", in_dir("not there"));
	assert_int_equal(safe_policy_load(&config, &self, &policy, &ctx), ERR_NOTFOUND);
	assert_says(ctx, "not there");
}

static void test_faults_name_the_line(void **state)
{
	struct errctx ctx = {""};

	(void)state;
	assert_ok(load(bytes_str("quorum none\n"), &self, NULL, &ctx));
	assert_int_equal(load(bytes_str("# a\nquorum none\nquorum none\n"), &self, NULL, &ctx),
		ERR_MALFORMED);
	assert_says(ctx, "safe.policy': line 3: a second quorum");
	assert_int_equal(load(BYTES_NONE, &self, NULL, &ctx), ERR_MALFORMED);
	assert_says(ctx, "safe.policy': no quorum");
}

static void test_who_may_cosign(void **state)
{
	static const struct {
		const char *name;
		bool may;
	} cases[] = {
		{"ovra.example/mirror/hq", true},
		{"ovra.example/witness/hq", true},
		{"ovra.example/mirror/haiti", false},
		{"ovra.example/witness/haiti", false},
		{"ovra.example/mirror/haitii", true},
		{"ovra.example/mirror/", false},
		{"ovra.example/mirror/HQ", false},
		{"ovra.example/mirror/hq/x", false},
		{"ovra.example/node/hq", false},
		{"else.example/mirror/hq", false},
		{"witness.else.example", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct note_key key = key_of(cases[i].name, 1);

		if (safe_policy_may_cosign(&self, &key) != cases[i].may)
			fail_msg("%s", cases[i].name);
	}
}

/* A quorum that needs the node's own word, or a stranger's, is never reached. */
static void test_must_be_reachable(void **state)
{
	static const struct {
		const char *rest;
		bool good;
	} cases[] = {
		{"quorum hq\n", true},
		{"quorum own\n", false},
		{"quorum stranger\n", false},
		{"group g all hq own\nquorum g\n", false},
		{"group g any hq own\nquorum g\n", true},
		{"group g any own stranger\nquorum g\n", false},
		{"group g 2 hq seer own stranger\nquorum g\n", true},
		{"group g 3 hq seer own stranger\nquorum g\n", false},
		{"group g any own stranger\ngroup h all hq seer\nquorum h\n", true},
		{"group g any own stranger\ngroup h all g hq\nquorum h\n", false},
		{"quorum none\n", true},
	};
	struct errctx ctx = {""};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text;

		buf_init(&text, LIMIT_POLICY_SIZE);
		put_witness(&text, "hq", "ovra.example/mirror/hq", 1);
		put_witness(&text, "seer", "ovra.example/witness/hq", 2);
		put_witness(&text, "own", "ovra.example/mirror/haiti", 3);
		put_witness(&text, "stranger", "else.example/witness", 4);
		buf_put_str(&text, cases[i].rest);
		if (load(buf_bytes(&text), &self, NULL, &ctx) != (cases[i].good ? OK : ERR_INVALID))
			fail_msg("%s", cases[i].rest);
		if (!cases[i].good)
			assert_says(ctx, "can never be reached");
		assert_ok(load(buf_bytes(&text), NULL, NULL, &ctx)); /* no node: not judged */
		buf_release(&text);
	}
}

static void test_size(void **state)
{
	struct errctx ctx = {""};

	(void)state;
	for (unsigned over = 0; over < 2; over++) {
		struct buf text;

		buf_init(&text, LIMIT_POLICY_SIZE + 1);
		buf_put_str(&text, "quorum none\n#");
		while (text.size < LIMIT_POLICY_SIZE - 1 + over)
			buf_put_u8(&text, 'x');
		buf_put_u8(&text, '\n');
		assert_int_equal(load(buf_bytes(&text), &self, NULL, &ctx), over ? ERR_LIMIT : OK);
		buf_release(&text);
	}
}

static int setup(void **state)
{
	return crypto_init() == OK ? test_dir_make(state) : -1;
}

static int teardown(void **state)
{
	crypto_release();
	return test_dir_remove(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_faults_name_the_line),
		cmocka_unit_test(test_who_may_cosign),
		cmocka_unit_test(test_must_be_reachable),
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
