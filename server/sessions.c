/*
 * Connections become sessions of the engine, or joins; and who is let in.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "server/internal.h"
#include "server/join.h"
#include "server/log.h"

struct session_data *session_data(const struct runtime *rt, struct session_id id)
{
	for (struct session_data *s = rt->sessions; s != NULL; s = s->next)
		if (s->id.value == id.value)
			return s;
	return NULL;
}

const struct peer_meter *peer_meter(const struct runtime *rt, const char *name)
{
	for (const struct peer_meter *m = rt->meters; m != NULL; m = m->next)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

static struct peer_meter *meter_get(struct runtime *rt, const char *name)
{
	struct peer_meter *m = rt->meters;

	while (m != NULL && strcmp(m->name, name) != 0)
		m = m->next;
	if (m != NULL || rt->meter_count == LIMIT_PEERS)
		return m;
	m = mem_zalloc(sizeof(*m));
	if (m == NULL)
		return NULL;
	snprintf(m->name, sizeof(m->name), "%s", name);
	m->next = rt->meters;
	rt->meters = m;
	rt->meter_count++;
	return m;
}

static struct meter_sample sample(const struct runtime *rt, const struct session_data *session)
{
	struct meter_sample s = {.now_ms = uv_now(&rt->loop),
		.in = conn_in(session->conn),
		.out = conn_out(session->conn)};

	(void)engine_session_traffic(rt->engine, session->id, &s.entries);
	return s;
}

void session_measure(struct runtime *rt, struct session_data *session)
{
	struct meter_sample s = sample(rt, session);

	if (session->meter != NULL && session->meter->session == session->id.value)
		meter_note(&session->meter->meter, &s);
}

/* Is the peer with this certificate, whose chain is good, a member? (DESIGN 7) */
static enum err is_member(
	const struct runtime *rt, const struct certificate_info *peer, struct errctx *ctx)
{
	const struct member *member =
		directory_find(engine_directory(rt->engine), bytes_str(peer->name));

	if (member == NULL)
		return err_set(ctx, ERR_UNTRUSTED, "'%s' is not in the directory", peer->name);
	if (!member->active)
		return err_set(
			ctx, ERR_UNTRUSTED, "'%s' is not active in the directory", peer->name);
	if (!hash_equal(&member->tls_spki, &peer->spki_sha256))
		return err_set(ctx, ERR_UNTRUSTED,
			"the key of the certificate is not the one the directory lists for '%s'",
			peer->name);
	return OK;
}

static void member_up(struct runtime *rt, struct session_data *session)
{
	const char *name = conn_peer(session->conn)->name;
	struct peer_state *peer = peer_state(rt, name);

	conn_vouch(session->conn);
	if (peer != NULL)
		peer->error[0] = '\0';
	session->meter = meter_get(rt, name);
	if (session->meter != NULL) {
		struct meter_sample s = sample(rt, session);

		/* Of two at a time the newer one is measured. */
		session->meter->session = session->id.value;
		meter_begin(&session->meter->meter, &s);
	}
}

/* It gets the directory, and is judged again when it comes the next time. */
static void guest_up(struct runtime *rt, struct conn *conn, const char *reason)
{
	struct peer_state *peer = peer_state(rt, conn_peer(conn)->name);

	if (log_gate(&rt->refused_gate, uv_now(&rt->loop)))
		log_line(LOG_WARNING, "a guest from %s: %s", conn_address(conn), reason);
	if (peer != NULL && conn_outgoing(conn))
		snprintf(peer->error, sizeof(peer->error), "%.150s: directory only", reason);
}

static void net_up(void *arg, struct conn *conn)
{
	struct runtime *rt = arg;
	struct session_data *session;
	struct event event = {.type = EVENT_CONNECTED};
	struct errctx ctx = {""};

	if (strcmp(conn_alpn(conn), TLS_ALPN_JOIN) == 0) {
		if (conn_outgoing(conn)) /* we never asked to join anybody */
			conn_close(conn, "it wants to speak the join protocol");
		else
			join_up(rt, conn);
		return;
	}
	session = mem_zalloc(sizeof(*session));
	if (session == NULL || conn_peer(conn) == NULL) {
		mem_free(session);
		conn_close(conn, "no memory or no certificate");
		return;
	}
	session->id.value = ++rt->next_session;
	session->conn = conn;
	session->next = rt->sessions;
	rt->sessions = session;
	conn_set_data(conn, session);
	event.guest = is_member(rt, conn_peer(conn), &ctx) != OK;
	if (event.guest)
		guest_up(rt, conn, ctx.text);
	else
		member_up(rt, session);
	event.session = session->id;
	event.peer = conn_peer(conn)->name;
	event.outgoing = conn_outgoing(conn);
	runtime_step(rt, &event);
}

static void net_message(void *arg, struct conn *conn, struct bytes message)
{
	struct runtime *rt = arg;
	struct session_data *session = conn_data(conn);

	if (strcmp(conn_alpn(conn), TLS_ALPN_JOIN) == 0) {
		join_message(rt, conn, message);
		return;
	}
	if (session == NULL)
		return;
	struct session_id id = session->id;

	runtime_step(rt, &(struct event){.type = EVENT_FRAME, .session = id, .frame = message});
	session = session_data(rt, id);
	if (session != NULL)
		session_measure(rt, session);
}

static void net_arriving(void *arg, struct conn *conn)
{
	struct session_data *session = conn_data(conn);

	if (strcmp(conn_alpn(conn), TLS_ALPN_JOIN) != 0 && session != NULL)
		runtime_step(arg, &(struct event){.type = EVENT_ARRIVING, .session = session->id});
}

static void net_sent(void *arg, struct conn *conn, size_t size)
{
	struct runtime *rt = arg;
	struct session_data *session = conn_data(conn);

	if (strcmp(conn_alpn(conn), TLS_ALPN_JOIN) != 0 && session != NULL)
		runtime_step(rt,
			&(struct event){.type = EVENT_SENT, .session = session->id, .size = size});
}

static void net_failed(void *arg, const char *name, const char *address, const char *reason);

static void net_down(void *arg, struct conn *conn, const char *reason)
{
	struct runtime *rt = arg;
	struct session_data *session = conn_data(conn);

	if (strcmp(conn_alpn(conn), TLS_ALPN_JOIN) == 0) {
		if (conn_outgoing(conn)) /* to the engine it never was more than a dial */
			net_failed(arg, conn_peer(conn)->name, conn_address(conn), reason);
		else
			join_down(rt, conn);
		return;
	}
	if (session == NULL)
		return;
	log_line(LOG_DEBUG, "connection with %s: %s", conn_address(conn), reason);
	session_measure(rt, session);
	for (struct session_data **at = &rt->sessions; *at != NULL; at = &(*at)->next)
		if (*at == session) {
			*at = session->next;
			break;
		}
	if (!rt->stopping)
		runtime_step(
			rt, &(struct event){.type = EVENT_DISCONNECTED, .session = session->id});
	mem_free(session);
}

static void net_failed(void *arg, const char *name, const char *address, const char *reason)
{
	struct runtime *rt = arg;
	struct peer_state *peer = peer_state(rt, name);

	if (rt->stopping)
		return;
	if (peer == NULL) {
		if (log_gate(&rt->refused_gate, uv_now(&rt->loop)))
			log_line(LOG_WARNING, "refused %s: %s", address, reason);
		return;
	}
	/* Once for each new reason: an office without a link dials for days. */
	if (strcmp(peer->error, reason) != 0)
		log_line(LOG_INFO, "cannot reach '%s' at %s: %s", name, address, reason);
	snprintf(peer->error, sizeof(peer->error), "%s", reason);
	peer->turn++;
	runtime_step(rt, &(struct event){.type = EVENT_DIAL_FAILED, .peer = peer->name});
}

/* Who comes with a certificate of this network may speak; whether as a member, or as a guest that
 * gets the directory and nothing else, is_member says, now and again when the session is up. */
enum err session_judge(
	void *arg, const struct certificate_info *peer, bool expired, struct errctx *ctx)
{
	struct runtime *rt = arg;
	char name[2 * LIMIT_NODE_NAME];

	if (strcmp(peer->network, rt->genesis.network) != 0 ||
		!node_name_valid(bytes_str(peer->name)))
		return err_set(ctx, ERR_UNTRUSTED, "a certificate that names no node of '%s'",
			rt->genesis.network);
	if (expired && log_gate(&rt->notice_gate, uv_now(&rt->loop)))
		log_line(LOG_WARNING, "the certificate of '%s' is outside its dates",
			text_escape(bytes_str(peer->name), name, sizeof(name)));
	return OK;
}

const struct net_events session_events = {
	net_up, net_message, net_arriving, net_sent, net_down, net_failed};
