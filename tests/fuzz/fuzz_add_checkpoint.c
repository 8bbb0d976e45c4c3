/*
 * Bodies of add-checkpoint from anybody. What is taken comes out again as it went in; parts lie
 * where they should; caps hold; a proof never leads from another tree and from the named one.
 */
#include <assert.h>

#include "replication/log/add_checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start(void)
{
	static bool started;

	if (started)
		return;
	started = crypto_init() == OK;
	assert(started);
}

static bool is_within(struct bytes part, struct bytes whole)
{
	return part.data >= whole.data && part.data + part.size <= whole.data + whole.size;
}

static void judge(const struct add_checkpoint *request)
{
	struct hash from, none = {{0}};

	if (!add_checkpoint_other(request, &none, &from))
		return;
	assert(request->old > 0 && request->old < request->size && request->proof.count > 0);
	assert(proof_consistency_ok(
		&request->proof, request->old, &from, request->size, &request->root));
	assert(!proof_consistency_ok(
		&request->proof, request->old, &none, request->size, &request->root));
	assert(!add_checkpoint_other(request, &from, &none));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes body = bytes_make(data, size);
	struct add_checkpoint request;
	struct note note;
	struct buf again;

	start();
	if (add_checkpoint_parse(body, &request, &note, NULL) != OK)
		return 0;
	assert(size <= LIMIT_ADD_CHECKPOINT);
	assert(request.proof.count <= LIMIT_PROOF_HASHES);
	assert(request.old <= INT64_MAX && request.size <= INT64_MAX);
	assert(request.origin.size > 0 && is_within(request.origin, note.text));
	assert(is_within(note.text, request.note) && note.count > 0);
	assert(request.note.data + request.note.size == data + size);
	buf_init(&again, LIMIT_ADD_CHECKPOINT);
	add_checkpoint_write(&again, request.old, &request.proof, request.note);
	assert(again.err == OK && bytes_equal(buf_bytes(&again), body));
	buf_release(&again);
	judge(&request);
	return 0;
}
