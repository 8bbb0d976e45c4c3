/* sauti case list | find: one line a case, what it is now and what is due. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/case/case.h"
#include "cli/case/view.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/reply.h"
#include "cli/term.h"

enum err case_ask_list(const struct cli *cli, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseListRequest list = SAUTI__CASE_LIST_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_LIST;
	request.case_list = &list;
	return daemon_list(cli, &request, ret, ctx);
}

/* ---- order ---- */

static const char *sort_member; /* of the one command that runs */

static int by_member(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	struct output_buffer bx, by;
	const char *tx = output_member(x, sort_member, &bx),
		   *ty = output_member(y, sort_member, &by);
	int order =
		tx[0] == '\0' || ty[0] == '\0' ? (tx[0] == '\0') - (ty[0] == '\0') : strcmp(tx, ty);

	return order != 0 ? order
			  : strcmp(output_member(x, "code", &bx), output_member(y, "code", &by));
}

/* What says nothing comes last. Takes the place of *cases. */
static enum err sort_cases(const char *member, json_t **cases)
{
	size_t count = json_array_size(*cases);
	json_t **list = mem_array(count + 1, sizeof(*list)), *sorted = json_array();

	for (size_t i = 0; i < count && list != NULL; i++)
		list[i] = json_array_get(*cases, i);
	sort_member = member;
	if (list != NULL)
		qsort(list, count, sizeof(*list), by_member);
	for (size_t i = 0; i < count && list != NULL; i++)
		json_array_append(sorted, list[i]);
	if (list == NULL || json_array_size(sorted) != count) {
		json_decref(sorted);
		mem_free(list);
		return ERR_NOMEM;
	}
	mem_free(list);
	json_decref(*cases);
	*cases = sorted;
	return OK;
}

static enum err sort_as_asked(
	struct cli *cli, const struct cli_args *args, json_t **cases, struct errctx *ctx)
{
	static const char *const orders[][2] = {
		{"code", "code"}, {"due", "next_due_on"}, {"contact", "last_contact_on"}};
	const char *sort = args_option(args, "sort");

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (sort == NULL || strcmp(sort, orders[i][0]) == 0)
			return sort_cases(orders[i][1], cases);
	return cli_usage(cli, ctx, "--sort is code, due or contact");
}

/* ---- lines ---- */

/* "2 referrals, 1 claim" */
static void put_count(struct buf *out, const json_t *item, const char *member, const char *what)
{
	unsigned long long count = output_number(item, member);

	if (count > 0)
		buf_printf(out, "%s%llu %s%s", out->size == 0 ? "" : ", ", count, what,
			count == 1 ? "" : "s");
}

static void put_open(struct buf *out, const json_t *item)
{
	struct output_buffer b;

	put_count(out, item, "imminent_concerns", "IMMINENT concern");
	put_count(out, item, "open_referrals", "referral");
	put_count(out, item, "open_claims", "claim");
	if (output_number(item, "imminent_concerns") == 0)
		put_count(out, item, "open_concerns", "concern");
	put_count(out, item, "open_complaints", "complaint");
	put_count(out, item, "conflicts", "CONFLICT");
	if (output_member(item, "from", &b)[0] != '\0')
		buf_printf(out, "%sfrom %s", out->size == 0 ? "" : ", ",
			output_member(item, "from", &b));
	else if (output_true(item, "contact_only") && !output_true(item, "complaint") &&
		 strcmp(json_string_value(json_object_get(item, "stage")), "closed") != 0)
		buf_printf(out, "%scontact only", out->size == 0 ? "" : ", ");
}

/* "2026-12-10 contact"; what is late says so. */
static void due_text(const json_t *item, const char *today, char *ret, size_t size)
{
	struct output_buffer b[2];
	const char *on = output_member(item, "next_due_on", &b[0]);

	snprintf(ret, size, "%s%s%s%s", on, on[0] == '\0' ? "" : " ",
		output_member(item, "next_due", &b[1]),
		on[0] != '\0' && strcmp(on, today) < 0 ? " LATE" : "");
}

/* Columns, and in which order they are left out where the terminal is too narrow. */
enum column { CODE, STAGE, RISK, CONTACT, NEXT, LEAD, OPEN, COLUMNS };
static const enum column dispensable[] = {CONTACT, LEAD, RISK};

static enum err add_row(
	struct output_table *table, const json_t *item, const char *today, const bool *shown)
{
	CLEANUP(buf_release) struct buf open;
	struct output_buffer b[COLUMNS];
	const char *all[COLUMNS], *cells[COLUMNS];
	char due[80];
	size_t count = 0;

	buf_init(&open, 1024);
	put_open(&open, item);
	due_text(item, today, due, sizeof(due));
	all[CODE] = output_member(item, "code", &b[CODE]);
	all[STAGE] = output_member(item, "stage", &b[STAGE]);
	all[RISK] = case_view_code("risks", output_member(item, "risk", &b[RISK]));
	all[CONTACT] = output_member(item, "last_contact_on", &b[CONTACT]);
	all[NEXT] = due;
	all[LEAD] = output_member(item, "lead", &b[LEAD]);
	all[OPEN] = buf_cstr(&open);
	for (size_t i = 0; i < COLUMNS; i++)
		if (shown[i])
			cells[count++] = all[i];
	output_table_add(table, cells);
	return table->err;
}

static unsigned table_width(const struct output_table *table)
{
	unsigned width = 0;

	for (size_t column = 0; column < table->columns; column++) {
		unsigned most = 0;

		for (size_t row = 0; row < table->rows; row++) {
			unsigned w = term_columns(table->cells[row * table->columns + column]);

			most = w > most ? w : most;
		}
		width += most + 2;
	}
	return width - 2;
}

static enum err make_table(const json_t *cases, const bool *shown, struct output_table *table)
{
	static const char *const heads[COLUMNS] = {
		"CODE", "STAGE", "RISK", "LAST CONTACT", "NEXT", "LEAD", "OPEN"};
	const char *cells[COLUMNS];
	char today[11];
	const json_t *item;
	size_t i, count = 0;

	for (i = 0; i < COLUMNS; i++)
		if (shown[i])
			cells[count++] = heads[i];
	case_today(today);
	output_table_init(table, cells, count);
	json_array_foreach(cases, i, item) TRY(add_row(table, item, today, shown));
	return table->err;
}

static enum err print_table(const json_t *cases)
{
	const struct term term = term_of(stdout);
	bool shown[COLUMNS] = {true, true, true, true, true, true, true};
	enum err err = OK;

	for (size_t left = 0; err == OK; left++) {
		CLEANUP(output_table_release) struct output_table table;
		bool last = left == sizeof(dispensable) / sizeof(dispensable[0]);

		err = make_table(cases, shown, &table);
		if (err == OK && (!term.tty || last || table_width(&table) <= term.width)) {
			output_table_print(&table, stdout);
			return OK;
		}
		if (!last)
			shown[dispensable[left]] = false;
	}
	return err;
}

static enum err print_cases(
	struct cli *cli, const struct cli_args *args, json_t **cases, struct errctx *ctx)
{
	unsigned long long unsynced = 0;
	const json_t *item;
	size_t i;

	TRY(sort_as_asked(cli, args, cases, ctx));
	if (cli->json) {
		output_json(*cases);
		return OK;
	}
	if (json_array_size(*cases) == 0) {
		printf("no cases\n");
		return OK;
	}
	TRY(print_table(*cases));
	json_array_foreach(*cases, i, item) unsynced += output_number(item, "unsynced");
	if (unsynced > 0)
		printf("%llu event%s not held by the quorum yet\n", unsynced,
			unsynced == 1 ? " is" : "s are");
	return OK;
}

enum err case_list_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *cases = NULL;

	TRY(case_ask_list(cli, &cases, ctx));
	return print_cases(cli, args, &cases, ctx);
}

/* ---- find ---- */

static enum err take_stage(
	struct cli *cli, const struct cli_args *args, const char **ret, struct errctx *ctx)
{
	const char *given = args_option(args, "stage");

	*ret = given == NULL ? "" : given;
	if (given != NULL && case_stage_find(bytes_str(given)) == STAGE_NONE)
		return cli_usage(cli, ctx,
			"--stage is introduction, assessment, planning, implementation, follow-up "
			"or closed");
	return OK;
}

enum err case_find_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseFindRequest find = SAUTI__CASE_FIND_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *cases = NULL;
	const char *officer = args_option(args, "officer"), *stage;
	char before[11];

	TRY(take_stage(cli, args, &stage, ctx));
	TRY(case_day_option(cli, args, "due-before", before, ctx));
	find.code = (char *)(args_at(args, 0) == NULL ? "" : args_at(args, 0));
	find.officer = (char *)(officer == NULL ? "" : officer);
	find.stage = (char *)stage;
	find.due_before = before;
	find.open_claims = args_flag(args, "open-claims");
	find.open_referrals = args_flag(args, "open-referrals");
	find.imminent = args_flag(args, "imminent");
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_FIND;
	request.case_find = &find;
	TRY(daemon_list(cli, &request, &cases, ctx));
	return print_cases(cli, args, &cases, ctx);
}
