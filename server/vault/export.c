/*
 * Cases as one text for a program or a person (cases/view/render.h), its hash, and what is in it.
 * What may become of the text is the loop's to know: first the ledger, then the client.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "cases/fold/timeline.h"
#include "cases/view/render.h"
#include "server/vault/internal.h"

_Static_assert((int)VAULT_REF_SIZE == (int)CASE_REF_SIZE, "what the loop gets");

struct export
{
	struct book *book;
	struct vault_request *request;
	struct render *render;
	uint64_t unread;
};

static enum err add_timeline(
	struct export *e, const struct casebook_case *kase, const struct timeline *timeline)
{
	struct render_case one = {kase->code, timeline};

	for (size_t i = 0; i < timeline_count(timeline); i++)
		e->request->groups |= timeline_event(timeline, i)->groups;
	buf_put(&e->request->refs, BYTES_ARRAY(kase->ref.b));
	TRY(e->request->refs.err);
	return render_case(e->render, &one, &e->request->ctx);
}

static enum err add_case(struct export *e, const struct casebook_case *kase)
{
	struct timeline *timeline;
	enum err err;

	if (atomic_load(e->book->opts.stop))
		return ERR_CANCELED;
	TRY(timeline_new(&timeline));
	err = show_read(e->book, kase, timeline, &e->unread, &e->request->ctx);
	if (err == OK)
		err = add_timeline(e, kase, timeline);
	timeline_free(timeline);
	return err;
}

/* As if it were not there, where the officer has nothing to do with it. */
static enum err seen(const struct export *e, const struct casebook_case *kase, bool *ret)
{
	const struct case_state *state = NULL;

	if (kase != NULL && kase->event_count > 0)
		TRY(states_get(e->book, kase, &state, &e->request->ctx));
	*ret = state != NULL && officer_sees(e->request, state);
	return OK;
}

static enum err find_case(
	const struct export *e, struct bytes name, const struct casebook_case **ret)
{
	const struct casebook_case *kase = casebook_find(e->book->cases, name);
	bool there = false;
	char text[80];

	TRY(seen(e, kase, &there));
	if (!there)
		return err_set(&e->request->ctx, ERR_NOTFOUND, "no case '%s' is known here",
			text_escape(name, text, sizeof(text)));
	*ret = kase;
	return OK;
}

static bool is_there(const struct export *e, const struct casebook_case *kase)
{
	const struct buf *refs = &e->request->refs;

	for (size_t at = 0; at < refs->size; at += CASE_REF_SIZE)
		if (memcmp(refs->data + at, kase->ref.b, CASE_REF_SIZE) == 0)
			return true;
	return false;
}

/* One name a line; a case that is named twice is in it once. */
static enum err add_named(struct export *e, struct bytes rest)
{
	while (rest.size > 0) {
		const uint8_t *end = memchr(rest.data, '\n', rest.size);
		size_t size = end == NULL ? rest.size : (size_t)(end - rest.data);
		const struct casebook_case *kase = NULL;

		TRY(find_case(e, bytes_make(rest.data, size), &kase));
		if (!is_there(e, kase))
			TRY(add_case(e, kase));
		size += end != NULL;
		rest = bytes_make(rest.data + size, rest.size - size);
	}
	return OK;
}

static enum err add_all(struct export *e)
{
	CLEANUP(mem_free_p) const struct casebook_case **cases = NULL;
	size_t count = 0;

	TRY(casebook_list(e->book->cases, &cases, &count));
	for (size_t i = 0; i < count; i++) {
		bool there = false;

		TRY(seen(e, cases[i], &there));
		if (there)
			TRY(add_case(e, cases[i]));
	}
	return OK;
}

static enum err make(struct export *e)
{
	struct vault_request *request = e->request;
	enum err err;

	err = request->lines.size == 0 ? add_all(e) : add_named(e, buf_bytes(&request->lines));
	if (err == OK && request->refs.size == 0)
		err = err_set(&request->ctx, ERR_NOTFOUND, "there is no case to export");
	if (err == OK)
		err = render_finish(e->render, &request->file, &request->ctx);
	if (err == ERR_LIMIT)
		return err_set(&request->ctx, err,
			"the file would be larger than %d MiB: export fewer cases at a time",
			LIMIT_EXPORT_BYTES / (1024 * 1024));
	return err;
}

static bool format_find(const char *code, enum render_format *ret)
{
	static const struct {
		const char *code;
		enum render_format format;
	} formats[] = {{"JSONL", RENDER_JSONL}, {"CSV", RENDER_CSV}, {"HANDOVER", RENDER_HANDOVER}};

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (strcmp(formats[i].code, code) == 0) {
			*ret = formats[i].format;
			return true;
		}
	return false;
}

enum err export_cases(struct book *book, struct vault_request *request)
{
	struct export e = {.book = book, .request = request};
	char today[11];
	struct render_options options = {
		.max = LIMIT_EXPORT_BYTES, .today = today, .officer = request->officer};
	struct render_counts counts;
	enum err err;

	TRY(request->lines.err);
	TRY(ledger_check_purpose(request));
	request_today(request, today);
	if (!format_find(request->format, &options.format))
		return err_set(&request->ctx, ERR_UNSUPPORTED,
			"this node cannot write cases in the format %s", request->format);
	TRY(render_new(&options, &e.render, &request->ctx));
	err = make(&e);
	counts = render_counts(e.render);
	render_free(e.render);
	if (err != OK)
		return err;
	request->ctx = (struct errctx){""};
	sha256(buf_bytes(&request->file), &request->file_hash);
	request->cases = counts.cases;
	request->events = counts.events;
	request->unread = e.unread;
	return OK;
}
