/*
 * bench_live: one event at a time, from an officer's command to a mirror's acknowledgement.
 *
 *   bench_live SOCKET ORIGIN MIRROR CASE-REF COUNT DIR
 *
 * Each event is of one part, thus one entry. It is appended through the author's control socket;
 * the first time is taken when the author says that it is durable there, the second when the
 * author's `log list` shows that the mirror holds it: sealed, durable, sent, proven, durable again,
 * cosigned, and the cosignature back and verified. The list is asked for again and again without a
 * pause, which is work for the author and in the figure. After each event one entry is committed to
 * a bare LMDB environment in DIR.
 */
#include <stdio.h>

#include "lib.h"
#include "node.h"
#include "proto/codec.h"

enum { WARM_UP = 5, GIVE_UP_S = 30 };

static void append(struct control *control, const char *case_ref)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseAppendRequest body = SAUTI__CASE_APPEND_REQUEST__INIT;
	struct errctx ctx = {""};
	char line[256];

	snprintf(line, sizeof(line),
		"{\"type\":\"CONTACT\",\"case_ref\":\"%s\",\"channel\":\"PHONE\","
		"\"direction\":\"OUT\",\"result\":\"REACHED\"}\n",
		case_ref);
	body.lines = codec_binary(bytes_str(line));
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_APPEND;
	request.case_append = &body;
	check(control_call(control, &request, NULL, NULL, NULL, &ctx), &ctx, "append");
}

static uint64_t size_of(struct control *control, const char *origin)
{
	json_t *log = node_log(control, origin);
	uint64_t size = node_number(log, "size");

	json_decref(log);
	return size;
}

static void wait_held(
	struct control *control, const char *origin, const char *mirror, uint64_t size)
{
	double end = now_s() + GIVE_UP_S;
	uint64_t held;

	do {
		json_t *log = node_log(control, origin);

		held = node_held(log, mirror);
		json_decref(log);
		if (now_s() > end)
			die("'%s' holds %llu of %llu after %d s", mirror, (unsigned long long)held,
				(unsigned long long)size, GIVE_UP_S);
	} while (held < size);
}

int main(int argc, char **argv)
{
	struct samples durable = {0}, held = {0}, commit = {0};
	struct control *control;
	struct bare bare;
	struct pool pool;
	char path[512];
	uint64_t count, size;

	if (argc != 7)
		die("usage: bench_live SOCKET ORIGIN MIRROR CASE-REF COUNT DIR");
	count = number_of(argv[5]);
	snprintf(path, sizeof(path), "%s/bare", argv[6]);
	bare_open(&bare, path);
	pool_init(&pool, 1);
	pool_fill(&pool, 5, 0);
	control = node_connect(argv[1]);
	size = size_of(control, argv[2]);
	for (uint64_t i = 0; i < count + WARM_UP; i++) {
		double start = now_s(), safe, answered, end;

		append(control, argv[4]);
		answered = now_s();
		wait_held(control, argv[2], argv[3], ++size);
		safe = now_s();
		bare_commit(&bare, pool.entry, 1);
		end = now_s();
		if (i < WARM_UP)
			continue;
		samples_add(&durable, (answered - start) * 1e3);
		samples_add(&held, (safe - start) * 1e3);
		samples_add(&commit, (end - safe) * 1e3);
	}
	printf("{");
	samples_print("durable_ms", &durable, true);
	samples_print("held_ms", &held, false);
	samples_print("lmdb_commit_ms", &commit, false);
	printf("}\n");
	samples_release(&durable);
	samples_release(&held);
	samples_release(&commit);
	control_close(control);
	pool_release(&pool);
	bare_close(&bare);
	directory_remove(path);
	return 0;
}
