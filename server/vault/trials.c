/*
 * Trials: a whole file is checked before its first event is recorded, in requests of some thousand
 * lines each; what later lines may say depends on the earlier ones. So the plan of a dry run stays,
 * with the states of its cases, until the trial ends: by its client's word, with its connection, at
 * a lock, at an error, or when nothing was heard of it for a while.
 */
#include "base/alloc.h"
#include "server/vault/internal.h"

struct trial {
	struct trial *next;
	uint64_t client, number, used_ms;
	struct plan plan;
};

static void trial_free(struct trial *trial)
{
	plan_release(&trial->plan);
	mem_free(trial);
}

uint64_t trials_events(const struct trials *trials)
{
	uint64_t count = 0;

	for (const struct trial *trial = trials->first; trial != NULL; trial = trial->next)
		count += trial->plan.item_count;
	return count;
}

static size_t trials_count(const struct trials *trials)
{
	size_t count = 0;

	for (const struct trial *trial = trials->first; trial != NULL; trial = trial->next)
		count++;
	return count;
}

static enum err trial_new(struct trials *trials, const struct vault_request *request,
	struct trial **ret, struct errctx *ctx)
{
	struct trial *trial;
	enum err err;

	if (trials_count(trials) >= LIMIT_TRIALS)
		return err_set(ctx, ERR_LIMIT,
			"%d files are being checked at this moment: try again when one of them is "
			"done",
			LIMIT_TRIALS);
	trial = mem_zalloc(sizeof(*trial));
	if (trial == NULL)
		return ERR_NOMEM;
	trial->client = request->client;
	trial->number = request->trial;
	err = plan_init(&trial->plan);
	if (err != OK) {
		trial_free(trial);
		return err;
	}
	trial->next = trials->first;
	trials->first = trial;
	*ret = trial;
	return OK;
}

enum err trials_plan(struct trials *trials, const struct vault_request *request, struct plan **ret,
	struct errctx *ctx)
{
	struct trial *trial = trials->first;

	while (trial != NULL &&
		(trial->client != request->client || trial->number != request->trial))
		trial = trial->next;
	if (trial == NULL)
		TRY(trial_new(trials, request, &trial, ctx));
	trial->used_ms = request->now_ms;
	*ret = &trial->plan;
	return OK;
}

static void end_where(struct trials *trials, bool (*ends)(const struct trial *, uint64_t, uint64_t),
	uint64_t a, uint64_t b)
{
	for (struct trial **at = &trials->first; *at != NULL;) {
		struct trial *trial = *at;

		if (!ends(trial, a, b)) {
			at = &trial->next;
			continue;
		}
		*at = trial->next;
		trial_free(trial);
	}
}

static bool is_it(const struct trial *trial, uint64_t client, uint64_t number)
{
	return trial->client == client && (number == 0 || trial->number == number);
}

void trials_end(struct trials *trials, uint64_t client, uint64_t number)
{
	end_where(trials, is_it, client, number);
}

/* A clock that was set back makes it last longer, no more. */
static bool is_idle(const struct trial *trial, uint64_t now_ms, uint64_t idle_ms)
{
	return now_ms > trial->used_ms && now_ms - trial->used_ms > idle_ms;
}

void trials_expire(struct trials *trials, uint64_t now_ms)
{
	end_where(trials, is_idle, now_ms, LIMIT_TRIAL_IDLE_MS);
}

static bool is_any(const struct trial *trial, uint64_t a, uint64_t b)
{
	(void)trial;
	(void)a;
	(void)b;
	return true;
}

void trials_clear(struct trials *trials)
{
	end_where(trials, is_any, 0, 0);
}
