#include "node.h"

#include <time.h>

#include "lib.h"

enum { CONNECT_S = 30 };

struct control *node_connect(const char *socket)
{
	const struct timespec pause = {0, 1000 * 1000};
	double end = now_s() + CONNECT_S;
	struct control *control = NULL;
	struct errctx ctx = {""};

	while (control_connect(socket, &control, &ctx) != OK) {
		if (now_s() > end)
			die("connect: %s", ctx.text);
		nanosleep(&pause, NULL);
	}
	return control;
}

struct search {
	const char *origin;
	json_t *found;
};

static enum err look(void *arg, struct bytes text, struct errctx *ctx)
{
	json_t *json = json_loadb((const char *)text.data, text.size, 0, NULL);
	struct search *search = arg;
	const char *origin = json_string_value(json_object_get(json, "origin"));

	if (origin != NULL && strcmp(origin, search->origin) == 0 && search->found == NULL)
		search->found = json_incref(json);
	json_decref(json);
	return OK;
}

json_t *node_log(struct control *control, const char *origin)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LogListRequest list = SAUTI__LOG_LIST_REQUEST__INIT;
	struct search search = {origin, NULL};
	struct errctx ctx = {""};

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LOG_LIST;
	request.log_list = &list;
	check(control_call(control, &request, look, &search, NULL, &ctx), &ctx, "list logs");
	return search.found;
}

uint64_t node_held(const json_t *log, const char *mirror)
{
	const json_t *list = json_object_get(log, "held_by"), *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "mirror"));

		if (name != NULL && strcmp(name, mirror) == 0)
			return node_number(item, "size");
	}
	return 0;
}

uint64_t node_number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}
