/* What can be said of a bundle without a node. The logs are those of the engine's tests. */
#include "replication/bundle/check.h"
#include "replication/bundle/frames.h"
#include "tests/unit/engine/harness.h"

enum { SIZE = 30 };

struct fixture {
	struct rig *rig;
	struct chain chain;
	struct bundle_check *check;
	struct buf note, frame;
};

static int setup(void **state)
{
	static struct fixture f;
	void *rig;

	if (rig_setup(&rig) != 0)
		return -1;
	f = (struct fixture){.rig = rig};
	rig_chain(f.rig, CLEO, &f.chain, SIZE);
	chain_note(&f.chain, SIZE, &f.note);
	buf_init(&f.frame, LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE);
	assert_int_equal(bundle_check_new(&f.check), OK);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *rig = f->rig;

	bundle_check_free(f->check);
	chain_release(&f->chain);
	buf_release(&f->note);
	buf_release(&f->frame);
	return rig_teardown(&rig);
}

static enum err check(struct fixture *f)
{
	struct errctx ctx = {""};
	enum err err = bundle_check_frame(f->check,
		bytes_make(f->frame.data + FRAME_HEADER_SIZE, f->frame.size - FRAME_HEADER_SIZE),
		&ctx);

	buf_clear(&f->frame);
	return err;
}

static enum err batch(struct fixture *f, const struct chain *chain, uint64_t first, size_t count)
{
	struct store_batch read = {.entries = chain_entries(chain, first, count)};

	chain_proof(chain, first + count, SIZE, &read.proof);
	bundle_batch_write(&f->frame, &chain->origin, first, &read, buf_bytes(&f->note));
	entries_unref(read.entries);
	return check(f);
}

static void test_from_the_first(void **state)
{
	struct fixture *f = *state;
	const struct bundle_check_log *log;
	struct bundle_cosigned cosigned = {.size = SIZE};
	struct buf line;

	assert_int_equal(batch(f, &f->chain, 0, 10), OK);
	assert_int_equal(batch(f, &f->chain, 10, 20), OK);
	rig_cosignature(f->rig, ANNA, &f->chain, SIZE, &line);
	cosigned.line = buf_bytes(&line);
	bundle_have_write(&f->frame, &f->chain.origin, SIZE, buf_bytes(&f->note), &cosigned, 1);
	assert_int_equal(check(f), OK);
	assert_int_equal(bundle_check_count(f->check), 1);
	log = bundle_check_at(f->check, 0);
	assert_true(log->whole && log->key_known && log->signed_ok);
	assert_int_equal(log->proven, SIZE);
	assert_int_equal(log->to, SIZE);
	assert_int_equal(log->cosigned, 1);
	assert_string_equal(log->cosigner[0].node, "anna");
	assert_int_equal(log->problems, 0);
	buf_release(&line);
}

static void test_from_the_middle(void **state)
{
	struct fixture *f = *state;
	struct bundle_log named = {.origin = f->chain.origin};
	struct bundle_manifest m = {.logs = &named, .log_count = 1, .signed_ok = true};
	const struct bundle_check_log *log;

	named.key = *signer_public(f->rig->actor[CLEO].log);
	assert_int_equal(bundle_check_manifest(f->check, &m), OK);
	assert_int_equal(batch(f, &f->chain, 10, 5), OK);
	/* A hole is told. */
	assert_int_equal(batch(f, &f->chain, 20, 10), ERR_AGAIN);
	log = bundle_check_at(f->check, 0);
	assert_true(log->key_known && log->signed_ok && !log->whole);
	assert_int_equal(log->from, 10);
	assert_int_equal(log->to, 15);
	assert_int_equal(log->proven, 0);
	assert_int_equal(log->problems, 1);
}

static void test_wrong(void **state)
{
	struct fixture *f = *state;
	struct bundle_log named = {.origin = f->chain.origin};
	struct bundle_manifest m = {.logs = &named, .log_count = 1};
	struct chain other;

	/* A manifest that nobody signed names no key. */
	named.key = *signer_public(f->rig->actor[ANNA].log);
	assert_int_equal(bundle_check_manifest(f->check, &m), OK);
	rig_chain(f->rig, CLEO, &other, 1);
	for (int i = 1; i < SIZE; i++)
		chain_add(&other, bytes_str("another"));
	assert_int_equal(batch(f, &f->chain, 0, 10), OK);
	assert_int_equal(batch(f, &other, 10, 5), ERR_PROOF);
	assert_int_equal(bundle_check_at(f->check, 0)->proven, 10);
	buf_put_str(&f->frame, "....\x12\x7f");
	assert_int_equal(check(f), ERR_MALFORMED);
	buf_put_str(&f->frame, "....\x32\x02\x08\x01"); /* a Ping */
	assert_int_equal(check(f), ERR_UNSUPPORTED);
	chain_release(&other);
}

/* The manifest's key is not the one that opened the log. */
static void test_another_key(void **state)
{
	struct fixture *f = *state;
	struct bundle_log named = {.origin = f->chain.origin};
	struct bundle_manifest m = {.logs = &named, .log_count = 1, .signed_ok = true};

	named.key = *signer_public(f->rig->actor[ANNA].log);
	assert_int_equal(bundle_check_manifest(f->check, &m), OK);
	assert_int_equal(batch(f, &f->chain, 0, 10), ERR_UNTRUSTED);
	assert_false(bundle_check_at(f->check, 0)->whole);
}

/* What proves itself goes along as it is stored; lengths of every number of bytes. */
static void test_messages(void **state)
{
	static const size_t sizes[] = {1, 100, 127, 128, 16383, 16384, 60000};
	struct fixture *f = *state;
	struct buf message;

	buf_init(&message, LIMIT_ENTRY_SIZE);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		Sauti__Mail mail = SAUTI__MAIL__INIT;
		Sauti__MailEnd mail_end = SAUTI__MAIL_END__INIT;

		buf_clear(&message);
		buf_put_zeros(&message, sizes[i]);
		mail.body = mail_end.body = codec_binary(buf_bytes(&message));
		buf_clear(&f->note);
		codec_pack(&f->note, &mail);
		bundle_message_write(&f->frame, BUNDLE_MAIL_FIELD, buf_bytes(&f->note));
		assert_int_equal(get_u32be(f->frame.data), f->frame.size - FRAME_HEADER_SIZE);
		assert_int_equal(check(f), OK);
		assert_int_equal(bundle_check_mail(f->check), i + 1);
		buf_clear(&f->note);
		codec_pack(&f->note, &mail_end);
		bundle_mail_end_write(&f->frame, buf_bytes(&f->note));
		assert_int_equal(get_u32be(f->frame.data), f->frame.size - FRAME_HEADER_SIZE);
		assert_int_equal(check(f), OK);
	}
	assert_int_equal(bundle_check_evidence(f->check), 0);
	buf_release(&message);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(from_the_first),
		T(from_the_middle),
		T(wrong),
		T(another_key),
		T(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
