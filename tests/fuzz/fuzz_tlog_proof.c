/*
 * Proof files and policies from anybody, and what stands in a proof's extra data. What is taken
 * comes out again as it went in; parts lie where they should; caps hold.
 */
#include <assert.h>

#include "cases/seal/opened.h"
#include "replication/log/tlog_policy.h"
#include "replication/log/tlog_proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start(void)
{
	static bool started;

	if (started)
		return;
	started = crypto_init() == OK;
	assert(started);
}

static void try_opened(struct bytes data)
{
	struct opened opened;
	struct buf again;

	if (opened_parse(data, &opened) != OK)
		return;
	assert(opened.entry.size > 0 && opened.entry.size <= LIMIT_ENTRY_SIZE);
	buf_init(&again, LIMIT_TLOG_EXTRA);
	opened_write(&again, &opened);
	assert(again.err == OK && bytes_equal(buf_bytes(&again), data));
	buf_release(&again);
}

static void try_proof(struct bytes data)
{
	struct tlog_proof proof;
	struct buf extra, again;

	buf_init(&extra, LIMIT_TLOG_EXTRA + 2);
	if (tlog_proof_parse(data, &extra, &proof, NULL) == OK) {
		assert(data.size <= LIMIT_TLOG_PROOF);
		assert(proof.path.count <= LIMIT_PROOF_HASHES);
		assert(proof.index < LIMIT_LOG_SIZE);
		assert(proof.checkpoint.data + proof.checkpoint.size == data.data + data.size);
		buf_init(&again, LIMIT_TLOG_PROOF);
		tlog_proof_write(&again, &proof);
		assert(again.err == OK && bytes_equal(buf_bytes(&again), data));
		buf_release(&again);
		if (proof.has_extra)
			try_opened(proof.extra);
	}
	buf_release(&extra);
}

static void try_policy(struct bytes data)
{
	static const char note[] = "ovra.example/haiti/1-0123456789abcdef\n0\n"
				   "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"
				   "\xe2\x80\x94 who AQIDBAU=\n";
	struct tlog_verdict verdict;
	struct tlog_policy *policy;

	if (tlog_policy_parse(data, &policy, NULL) != OK)
		return;
	/* Nothing is signed: no policy lets it pass. */
	assert(tlog_policy_check(policy, bytes_str(note), &verdict, NULL) != OK);
	tlog_policy_free(policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	start();
	try_proof(bytes_make(data, size));
	try_policy(bytes_make(data, size));
	try_opened(bytes_make(data, size));
	return 0;
}
