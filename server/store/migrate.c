#include "server/store/migrate.h"

#include <assert.h>
#include <inttypes.h>

#include "server/store/env.h"

#define KEY_FORMAT    bytes_str("format")
#define KEY_MIGRATING bytes_str("migrating")

enum { FORMAT_SIZE = 4, MARK_SIZE = 4 + 4 + 8 };

/* What `meta` says. */
struct state {
	bool fresh; /* an environment that was made just now */
	uint32_t format;
	bool migrating;
	uint32_t from;
	uint64_t transactions;
};

static void format_put(struct txn *txn, unsigned meta, uint32_t format)
{
	uint8_t value[FORMAT_SIZE];

	put_u32be(value, format);
	txn_put(txn, meta, KEY_FORMAT, BYTES_ARRAY(value));
}

static void mark_put(struct txn *txn, unsigned meta, const struct state *state)
{
	uint8_t value[MARK_SIZE];

	put_u32be(value, state->from);
	put_u32be(value + 4, state->format);
	put_u64be(value + 8, state->transactions);
	txn_put(txn, meta, KEY_MIGRATING, BYTES_ARRAY(value));
}

static void mark_read(struct txn *txn, unsigned meta, struct state *state)
{
	struct bytes value;

	state->migrating = txn_get(txn, meta, KEY_MIGRATING, &value);
	if (!state->migrating)
		return;
	if (value.size != MARK_SIZE || get_u32be(value.data + 4) != state->format ||
		get_u32be(value.data) >= state->format) {
		txn_fail(txn, ERR_CORRUPT, "how far its migration is, is not readable");
		return;
	}
	state->from = get_u32be(value.data);
	state->transactions = get_u64be(value.data + 8);
}

static void state_read(struct txn *txn, unsigned meta, struct state *state)
{
	struct bytes value;

	if (!txn_get(txn, meta, KEY_FORMAT, &value)) {
		state->fresh = txn_count(txn, meta) == 0;
		if (!state->fresh)
			txn_fail(txn, ERR_CORRUPT, "it does not say of which format it is");
		return;
	}
	if (value.size != FORMAT_SIZE) {
		txn_fail(txn, ERR_CORRUPT, "its format version is not readable");
		return;
	}
	state->format = get_u32be(value.data);
	if (state->format > ENV_FORMAT)
		txn_fail(txn, ERR_VERSION,
			"it is of format %" PRIu32 ", made or upgraded by a newer Sauti; this one "
			"knows formats up to %d. Nothing was changed: install the newer Sauti "
			"again, or restore the backup from before the upgrade",
			state->format, ENV_FORMAT);
	else
		mark_read(txn, meta, state);
}

/* The first transaction: makes a new environment, opens one that is up to date, and of any other
 * opens the table `meta` alone. */
static enum err start(
	struct env *env, const struct migrate_opts *opts, struct state *state, struct errctx *ctx)
{
	struct txn txn;

	txn_begin(&txn, env, TXN_WRITE);
	txn_database(&txn, opts->meta, "meta");
	state_read(&txn, opts->meta, state);
	if (state->fresh) {
		state->format = ENV_FORMAT;
		format_put(&txn, opts->meta, ENV_FORMAT);
	}
	if (state->format == ENV_FORMAT && !state->migrating && txn.err == OK)
		opts->open(&txn, opts->arg);
	return txn_finish(&txn, ctx);
}

static enum err tell(struct env *env, const struct migrate_opts *opts,
	const struct migrate_step *step, const struct state *state, bool done, struct errctx *ctx)
{
	struct migrate_progress progress = {env_path(env), step, state->transactions, done};

	if (opts->watch.progress == NULL)
		return OK;
	return opts->watch.progress(opts->watch.arg, &progress, ctx);
}

/* The databases are opened in each opening, also of a migration that was marked before. */
static enum err mark(
	struct env *env, const struct migrate_opts *opts, struct state *state, struct errctx *ctx)
{
	struct txn txn;

	txn_begin(&txn, env, TXN_WRITE);
	opts->open(&txn, opts->arg);
	if (!state->migrating) {
		state->migrating = true;
		state->from = state->format++;
		state->transactions = 1;
		format_put(&txn, opts->meta, state->format);
		mark_put(&txn, opts->meta, state);
	}
	return txn_finish(&txn, ctx);
}

static enum err piece(struct env *env, const struct migrate_opts *opts,
	const struct migrate_step *step, struct state *state, struct errctx *ctx)
{
	struct txn txn;
	bool more = false;

	txn_begin(&txn, env, TXN_WRITE);
	if (step->piece != NULL)
		more = step->piece(&txn);
	state->transactions++;
	if (more)
		mark_put(&txn, opts->meta, state);
	else
		txn_delete(&txn, opts->meta, KEY_MIGRATING);
	TRY(txn_finish(&txn, ctx));
	state->migrating = more;
	return OK;
}

static enum err step_run(struct env *env, const struct migrate_opts *opts,
	const struct migrate_step *step, struct state *state, struct errctx *ctx)
{
	TRY(tell(env, opts, step, state, false, ctx));
	TRY(mark(env, opts, state, ctx));
	while (state->migrating) {
		TRY(tell(env, opts, step, state, false, ctx));
		TRY(piece(env, opts, step, state, ctx));
	}
	TRY(tell(env, opts, step, state, true, ctx));
	state->transactions = 0;
	return OK;
}

static enum err look(struct env *env, const struct migrate_opts *opts, struct errctx *ctx)
{
	struct state state = {.fresh = false};
	struct txn txn;

	txn_begin(&txn, env, TXN_READ);
	txn_database(&txn, opts->meta, "meta");
	state_read(&txn, opts->meta, &state);
	if (state.fresh)
		txn_fail(&txn, ERR_CORRUPT, "it has no format version");
	if (txn.err == OK)
		opts->open(&txn, opts->arg);
	return txn_finish(&txn, ctx);
}

enum err migrate_open(struct env *env, const struct migrate_opts *opts, struct errctx *ctx)
{
	struct state state = {.fresh = false};

	assert(opts->count > 0 && opts->steps[opts->count - 1].to == ENV_FORMAT);
	if (env_is_read_only(env))
		return look(env, opts, ctx);
	TRY(start(env, opts, &state, ctx));
	for (size_t i = 0; i < opts->count; i++) {
		const struct migrate_step *step = &opts->steps[i];
		uint32_t at = state.migrating ? state.from : state.format;
		enum err err;

		assert(step->to == step->from + 1);
		if (step->from != at)
			continue;
		err = step_run(env, opts, step, &state, ctx);
		if (err != OK)
			return err_wrap(ctx, err,
				"bring it from format %" PRIu32 " to %" PRIu32 " (%s)", step->from,
				step->to, step->name);
	}
	return OK;
}
