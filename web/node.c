#include "web/node.h"

#include "base/limits.h"
#include "web/clock.h"

enum { ANSWER_TIMES = 6 }; /* an answer in many parts may take that many time-outs */

void node_init(struct node *node, const char *socket, unsigned timeout_s)
{
	*node = (struct node){.socket = socket, .timeout_s = timeout_s};
	pthread_mutex_init(&node->mutex, NULL);
}

void node_release(struct node *node)
{
	pthread_mutex_destroy(&node->mutex);
}

void node_line_close(struct node_line *line)
{
	control_close(line->control);
	line->control = NULL;
}

static bool may_connect(struct node *node)
{
	bool may;

	pthread_mutex_lock(&node->mutex);
	may = node->retry_ms == 0 || clock_ms() >= node->retry_at_ms;
	pthread_mutex_unlock(&node->mutex);
	return may;
}

static void connected(struct node *node, bool worked)
{
	pthread_mutex_lock(&node->mutex);
	if (worked)
		node->retry_ms = 0;
	else if (node->retry_ms == 0)
		node->retry_ms = NODE_RETRY_MIN_MS;
	else if (2 * node->retry_ms <= NODE_RETRY_MAX_MS)
		node->retry_ms *= 2;
	else
		node->retry_ms = NODE_RETRY_MAX_MS;
	node->retry_at_ms = clock_ms() + node->retry_ms;
	pthread_mutex_unlock(&node->mutex);
}

static enum err line_open(struct node_line *line, struct errctx *ctx)
{
	struct node *node = line->node;
	enum err err;

	if (line->control != NULL)
		return OK;
	if (!may_connect(node))
		return err_set(
			ctx, ERR_UNREACHABLE, "no daemon answered at %s just now", node->socket);
	err = control_connect_public(node->socket, node->timeout_s, &line->control, ctx);
	connected(node, err == OK);
	/* Whatever the reason is: there is none to speak with. */
	return err == OK || err == ERR_NOMEM ? err : ERR_UNREACHABLE;
}

struct asking {
	enum err (*each)(void *arg, const struct control_response *response, struct errctx *ctx);
	void *arg;
	uint64_t end_ms;
	unsigned parts;
	bool ended; /* the node itself has ended the answer: the line can be used again */
};

/* A response that reports an error ends the answer. The client does not tell it from an error of
 * the line but by these codes. */
static bool of_line(enum err err)
{
	return err == ERR_UNREACHABLE || err == ERR_CLOSED || err == ERR_TIMEOUT ||
	       err == ERR_MALFORMED || err == ERR_LIMIT || err == ERR_IO || err == ERR_NOMEM;
}

static enum err take(struct node_line *line, struct asking *asking, struct errctx *ctx)
{
	struct control_response response = {0};

	while (!response.last) {
		enum err err = control_next(line->control, &response, ctx);

		if (err != OK) {
			asking->ended = !of_line(err);
			return err;
		}
		if (++asking->parts > LIMIT_WEB_ANSWER_PARTS || clock_ms() > asking->end_ms)
			return err_set(ctx, ERR_LIMIT, "the node's answer does not end");
		TRY(asking->each(asking->arg, &response, ctx));
	}
	asking->ended = true;
	return OK;
}

static enum err ask_once(struct node_line *line, const Sauti__ControlRequest *request,
	struct asking *asking, struct errctx *ctx)
{
	enum err err = line_open(line, ctx);

	if (err == OK)
		err = control_send(line->control, request, ctx);
	if (err == OK)
		err = take(line, asking, ctx);
	if (!asking->ended)
		node_line_close(line);
	return err;
}

enum err node_ask(struct node_line *line, const Sauti__ControlRequest *request,
	enum err (*each)(void *arg, const struct control_response *response, struct errctx *ctx),
	void *arg, struct errctx *ctx)
{
	struct asking asking = {.each = each, .arg = arg};
	bool used = line->control != NULL;
	enum err err;

	asking.end_ms = clock_ms() + (uint64_t)ANSWER_TIMES * 1000 * line->node->timeout_s;
	err = ask_once(line, request, &asking, ctx);
	/* It was closed while nobody asked: the node was started anew. None of these requests does
	 * harm when it is made twice. */
	if (used && asking.parts == 0 && (err == ERR_CLOSED || err == ERR_IO))
		err = ask_once(line, request, &asking, ctx);
	return err == ERR_CLOSED || err == ERR_IO ? ERR_UNREACHABLE : err;
}
