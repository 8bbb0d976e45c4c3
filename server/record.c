#include "server/record.h"

#include <stdio.h>

#include "base/alloc.h"
#include "server/internal.h"

struct recording {
	struct runtime *rt;
	struct sealed_batch batch;
	record_done done;
	void *arg;
};

static void recording_end(struct recording *r, enum err error, const char *why)
{
	r->done(r->arg, error, why == NULL ? err_text(error) : why);
	mem_free(r);
}

static void on_appended(void *arg, enum err error, uint64_t index)
{
	struct recording *r = arg;

	runtime_tell_vault(r->rt, r->batch, error, index);
	recording_end(r, error, NULL);
}

static void append(struct recording *r, struct vault_request *done)
{
	struct entries *entries = done->entries;

	r->batch = (struct sealed_batch){done->batch, done->wave};
	if (!runtime_may_append(r->rt, r->batch)) {
		on_appended(r, r->rt->failed_wave_error, 0);
		return;
	}
	done->entries = NULL;
	runtime_append(r->rt, done->log_origin, entries, on_appended, r);
}

static void on_sealed(void *loop, struct vault_request *done)
{
	struct recording *r = done->arg;

	if (loop == NULL)
		recording_end(r, ERR_CANCELED, NULL);
	else if (done->result != OK)
		recording_end(r, done->result, err_message(&done->ctx, done->result));
	else if (done->entries == NULL) /* it stands there already */
		recording_end(r, OK, NULL);
	else
		append(r, done);
	if (loop != NULL && done->trouble != TROUBLE_NONE)
		runtime_disk_failed(loop, err_message(&done->ctx, done->result));
	vault_request_free(done);
}

void record_events(struct runtime *rt, const struct record_who *who, struct buf *lines,
	record_done done, void *arg)
{
	struct recording *r = mem_zalloc(sizeof(*r));
	struct vault_request *ask = vault_request_new(VAULT_SEAL, r);

	if (r == NULL || ask == NULL)
		runtime_out_of_memory();
	*r = (struct recording){.rt = rt, .done = done, .arg = arg};
	ask->answered = on_sealed;
	ask->lines = *lines;
	*lines = (struct buf){0};
	if (ask->lines.err != OK || !guard_state_writable(&rt->guard_state)) {
		enum err err = ask->lines.err != OK ? ask->lines.err : ERR_STALE;

		vault_request_free(ask);
		recording_end(r, err, err == ERR_STALE ? rt->guard_state.why : NULL);
		return;
	}
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	ask->roles = who->roles;
	snprintf(ask->officer, sizeof(ask->officer), "%s", who->officer);
	vault_submit(rt->vault, ask);
}
