/*
 * emulator: a bad link between real programs: a TCP proxy that forwards as a slow, far, unreliable
 * line would, and does what it is told on its standard input. tests/lib/link.py drives it.
 *
 * A link has two ends, "a" (the office) and "b" (the world); "up" is from a to b, "down" from b to
 * a. All connections through one emulator share its two pipes (pipe.h), as an office's router does.
 * A connection is opened towards its target one round trip after it was accepted. Receive buffers
 * are small and segments those of Ethernet, so that a sender feels the link and not this machine.
 *
 * One command a line; the answer is one JSON object a line, with "error" when it was not done.
 *
 *   forward HOST:PORT TARGET:PORT [back]   listens (port 0: chosen, see the answer); back: callers
 *                                          are at end b. Numeric IPv4 addresses
 *   set up|down|both delay MS              one way
 *   set .. rate KBITS                      kilobits a second; 0: no limit
 *   set .. bloat BYTES                     of the queue, beyond one bandwidth-delay product
 *   set .. stall GAP_MS LENGTH_MS          means; nothing moves during a stall; 0 0: none
 *   plan up|down COUNT                     the first COUNT stalls, from the moment they are set, in
 * ms cut [end]                              all connections end now, what is on the way is lost:
 *                                          with a reset, or as if each side had closed
 *   cut-at up|down BYTES                   .. one does, once so many more bytes were delivered
 *   every MS                               .. all do, again and again; 0: no more
 *   half-open                              the connections there are hang for ever: nothing moves,
 *                                          nothing is acknowledged, nobody is told. New ones work
 *   dark                                   nothing passes at all, nor is it acknowledged, until
 * heal refuse                                 new connections are refused, until heal heal capture
 * PATH                           what new connections deliver goes to PATH.N.up and .down count
 * bytes and connections
 *
 * Decisions follow from the seed (--seed N, of the stalls) and the commands; times are real.
 * It ends when its input does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/emulator/pipe.h"

enum { UP, DOWN };
enum {
	RECEIVE_BUFFER = 8 * 1024, /* the kernel doubles it */
	BACKLOG = 1024,
	FORWARDS_MAX = 64,
	HISTORY_MAX = 4096, /* connections whose bytes are told */
	EVENTS = 64,
	DRAIN_NS = 1000 * 1000, /* how often it is looked whether the last bytes have arrived */
	LINE_MAX_SIZE = 512,
};
#define SECOND_NS UINT64_C(1000000000)

struct watch {
	enum { WATCH_INPUT, WATCH_FORWARD, WATCH_SIDE } kind;
	void *owner;
	unsigned side;
};

struct forward {
	struct watch watch;
	int holder, listener; /* the holder keeps the port while refusing */
	struct sockaddr_in address, target;
	bool back;
};

struct side {
	struct watch watch;
	int fd;
	bool readable, writable; /* as far as is known: edges */
	bool ended;              /* nothing more comes from it */
	bool shut;               /* nothing more goes to it */
	struct packets waiting;  /* delivered by the link, not taken by the program yet */
	FILE *capture;
};

enum conn_state { CONN_OPENING, CONN_CONNECTING, CONN_OPEN, CONN_DRAINING };

struct conn {
	TAILQ_ENTRY(conn) link;
	struct forward *forward;
	struct side sides[2]; /* end a, end b */
	enum conn_state state;
	uint64_t due_ns; /* opening: when it dials; draining: when to look */
	bool frozen, cut_end;
	unsigned id, cut_direction;
};
TAILQ_HEAD(conns, conn);

struct history {
	uint64_t in[2], out[2];
	bool open;
};

static struct emulator {
	int epoll;
	uint64_t seed, now_ns;
	struct pipe pipes[2];
	uint64_t stall_gap_ns[2], stall_length_ns[2];
	struct forward *forwards[FORWARDS_MAX];
	size_t forward_count;
	struct conns conns;
	unsigned accepted, open;
	struct history history[HISTORY_MAX];
	uint64_t in[2], out[2], lost[2];
	uint64_t cut_left[2]; /* bytes; UINT64_MAX: none wanted */
	uint64_t every_ns, next_cut_ns;
	bool dark, refusing;
	char capture[LINE_MAX_SIZE];
	char line[LINE_MAX_SIZE];
	size_t line_size;
} em;

static void stop(const char *what)
{
	fprintf(stderr, "emulator: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

static void watch(int fd, struct watch *w, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = w};

	if (epoll_ctl(em.epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		stop("epoll_ctl");
}

/* A socket whose kernel takes no segment: it acknowledges nothing, answers nothing, hears no end.
 */
static void make_deaf(int fd, bool deaf)
{
	struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
	struct sock_fprog program = {.len = 1, .filter = &drop};
	int unused = 0;

	if (deaf && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
		stop("attach filter");
	if (!deaf && setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) != 0 &&
		errno != ENOENT)
		stop("detach filter");
}

static int make_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	int size = RECEIVE_BUFFER, segment = PIPE_MTU;

	if (fd < 0)
		stop("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* Connections. */

static void side_close(struct side *side, bool reset)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	struct packet *packet;

	while ((packet = STAILQ_FIRST(&side->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&side->waiting, link);
		free(packet);
	}
	if (side->capture != NULL)
		fclose(side->capture);
	if (side->fd < 0)
		return;
	if (reset)
		setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(side->fd);
}

/* What the link has of the connection is lost. */
static void conn_end(struct conn *conn, bool reset)
{
	for (unsigned d = UP; d <= DOWN; d++) {
		const struct packet *packet;

		em.lost[d] += pipe_forget(&em.pipes[d], conn);
		STAILQ_FOREACH(packet, &conn->sides[1 - d].waiting, link)
		em.lost[d] += packet->size - packet->done;
	}
	side_close(&conn->sides[0], reset);
	side_close(&conn->sides[1], reset);
	if (conn->id < HISTORY_MAX)
		em.history[conn->id].open = false;
	TAILQ_REMOVE(&em.conns, conn, link);
	em.open--;
	free(conn);
}

static void cut_all(bool reset)
{
	struct conn *conn = TAILQ_FIRST(&em.conns), *next;

	for (; conn != NULL; conn = next) {
		next = TAILQ_NEXT(conn, link);
		if (!conn->frozen)
			conn_end(conn, reset);
	}
}

static void side_init(struct conn *conn, unsigned s, int fd)
{
	struct side *side = &conn->sides[s];

	side->fd = fd;
	side->watch = (struct watch){WATCH_SIDE, conn, s};
	STAILQ_INIT(&side->waiting);
	if (em.capture[0] != '\0') {
		char path[LINE_MAX_SIZE + 32];

		snprintf(path, sizeof(path), "%s.%u.%s", em.capture, conn->id,
			s == 0 ? "down" : "up");
		side->capture = fopen(path, "wb");
	}
	if (fd >= 0)
		watch(fd, &side->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

static void accept_one(struct forward *forward)
{
	int fd = accept4(forward->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	unsigned caller = forward->back ? 1 : 0;
	struct conn *conn;

	if (fd < 0)
		return;
	conn = calloc(1, sizeof(*conn));
	if (conn == NULL)
		stop("calloc");
	conn->id = em.accepted++;
	conn->forward = forward;
	conn->state = CONN_OPENING;
	conn->due_ns = em.now_ns + em.pipes[UP].delay_ns + em.pipes[DOWN].delay_ns;
	side_init(conn, caller, fd);
	side_init(conn, 1 - caller, -1);
	if (conn->id < HISTORY_MAX)
		em.history[conn->id].open = true;
	TAILQ_INSERT_TAIL(&em.conns, conn, link);
	em.open++;
}

/* False: the connection is gone. */
static bool conn_dial(struct conn *conn)
{
	struct side *side = &conn->sides[conn->forward->back ? 0 : 1];
	const struct sockaddr_in *target = &conn->forward->target;

	side->fd = make_socket();
	conn->state = CONN_CONNECTING;
	if (connect(side->fd, (const struct sockaddr *)target, sizeof(*target)) != 0 &&
		errno != EINPROGRESS) {
		conn_end(conn, true);
		return false;
	}
	watch(side->fd, &side->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	return true;
}

static bool conn_dialled(struct conn *conn)
{
	int error = 0;
	socklen_t size = sizeof(error);

	getsockopt(
		conn->sides[conn->forward->back ? 0 : 1].fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error != 0) {
		conn_end(conn, true);
		return false;
	}
	conn->state = CONN_OPEN;
	return true;
}

/* Both directions have ended and arrived. */
static bool conn_over(const struct conn *conn)
{
	return conn->sides[0].shut && conn->sides[1].shut;
}

/* Looks whether the byte at which the connection is cut has arrived. */
static bool conn_drained(struct conn *conn)
{
	int left = 0;

	if (ioctl(conn->sides[1 - conn->cut_direction].fd, SIOCOUTQ, &left) == 0 && left > 0) {
		conn->due_ns = em.now_ns + DRAIN_NS;
		return false;
	}
	conn_end(conn, true);
	return true;
}

/* What moves. */

static void count_out(struct conn *conn, unsigned d, const uint8_t *data, size_t size)
{
	struct side *side = &conn->sides[1 - d];

	em.out[d] += size;
	if (conn->id < HISTORY_MAX)
		em.history[conn->id].out[d] += size;
	if (side->capture != NULL)
		fwrite(data, 1, size, side->capture);
	if (em.cut_left[d] == UINT64_MAX)
		return;
	em.cut_left[d] -= size;
	if (em.cut_left[d] == 0) {
		em.cut_left[d] = UINT64_MAX;
		conn->state = CONN_DRAINING;
		conn->cut_direction = d;
		conn->due_ns = em.now_ns;
	}
}

/* Hands data to the program at the far side. -1: the connection is gone; 0: it takes no more. */
static int deliver_data(struct conn *conn, unsigned d, struct packet *packet)
{
	struct side *side = &conn->sides[1 - d];
	const uint8_t *data = packet->data + packet->done;
	size_t size = packet->size - packet->done;

	if (size > em.cut_left[d])
		size = em.cut_left[d];
	ssize_t sent = send(side->fd, data, size, MSG_NOSIGNAL);

	if (sent < 0 && errno == EAGAIN) {
		side->writable = false;
		return 0;
	}
	if (sent < 0) {
		conn_end(conn, true);
		return -1;
	}
	packet->done += (size_t)sent;
	count_out(conn, d, data, (size_t)sent);
	return conn->state == CONN_OPEN;
}

/* False: the connection is gone. */
static bool flush(struct conn *conn, unsigned d)
{
	struct side *side = &conn->sides[1 - d];
	struct packet *packet;

	while (conn->state == CONN_OPEN && (packet = STAILQ_FIRST(&side->waiting)) != NULL) {
		if (packet->kind == PACKET_RESET) {
			conn_end(conn, true);
			return false;
		}
		if (packet->kind == PACKET_END) {
			shutdown(side->fd, SHUT_WR);
			side->shut = true;
		} else {
			int more = side->writable ? deliver_data(conn, d, packet) : 0;

			if (more <= 0)
				return more == 0;
			if (packet->done < packet->size)
				continue;
		}
		STAILQ_REMOVE_HEAD(&side->waiting, link);
		free(packet);
	}
	if (conn_over(conn)) {
		conn_end(conn, false);
		return false;
	}
	return true;
}

/* Takes one packet from the program at the near side, if there is room for it. */
static bool take_in(struct conn *conn, unsigned d)
{
	struct side *side = &conn->sides[d];
	uint8_t buffer[PIPE_MTU];
	struct packet *packet;

	if (conn->state != CONN_OPEN || !side->readable || side->ended ||
		!pipe_room(&em.pipes[d]) || !STAILQ_EMPTY(&conn->sides[1 - d].waiting))
		return false;
	ssize_t size = recv(side->fd, buffer, sizeof(buffer), 0);

	if (size < 0 && errno == EAGAIN) {
		side->readable = false;
		return false;
	}
	if (size > 0) {
		packet = packet_new(conn, PACKET_DATA, (size_t)size);
		memcpy(packet->data, buffer, (size_t)size);
		em.in[d] += (size_t)size;
		if (conn->id < HISTORY_MAX)
			em.history[conn->id].in[d] += (size_t)size;
	} else {
		packet = packet_new(conn, size == 0 ? PACKET_END : PACKET_RESET, 0);
		side->ended = true;
	}
	pipe_push(&em.pipes[d], packet, em.now_ns);
	return true;
}

/* One packet of each connection in turn, while any moves: whoever was served goes to the end. */
static bool take_all(void)
{
	struct conn *conn = TAILQ_FIRST(&em.conns), *next;
	size_t left = em.open;
	bool moved = false;

	for (; conn != NULL && left > 0; conn = next, left--) {
		next = TAILQ_NEXT(conn, link);
		if (conn->frozen)
			continue;
		bool up = take_in(conn, UP), down = take_in(conn, DOWN);

		if (up || down) {
			TAILQ_REMOVE(&em.conns, conn, link);
			TAILQ_INSERT_TAIL(&em.conns, conn, link);
			moved = true;
		}
	}
	return moved;
}

static void come_down(unsigned d)
{
	struct packet *packet;

	while ((packet = pipe_take(&em.pipes[d], em.now_ns)) != NULL) {
		struct conn *conn = packet->owner;

		STAILQ_INSERT_TAIL(&conn->sides[1 - d].waiting, packet, link);
	}
}

static void conns_due(void)
{
	struct conn *conn = TAILQ_FIRST(&em.conns), *next;

	for (; conn != NULL; conn = next) {
		next = TAILQ_NEXT(conn, link);
		if (conn->frozen)
			continue;
		if (conn->state == CONN_OPENING && conn->due_ns <= em.now_ns)
			conn_dial(conn);
		else if (conn->state == CONN_DRAINING && conn->due_ns <= em.now_ns)
			conn_drained(conn);
	}
}

static void run(void)
{
	bool moved = true;

	if (em.every_ns != 0 && em.now_ns >= em.next_cut_ns) {
		cut_all(true);
		em.next_cut_ns += em.every_ns;
	}
	while (moved && !em.dark) {
		conns_due();
		come_down(UP);
		come_down(DOWN);
		for (struct conn *conn = TAILQ_FIRST(&em.conns), *next; conn != NULL; conn = next) {
			next = TAILQ_NEXT(conn, link);
			if (!conn->frozen && flush(conn, UP))
				flush(conn, DOWN);
		}
		moved = take_all();
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int timeout_ms(void)
{
	uint64_t due = em.every_ns != 0 ? em.next_cut_ns : UINT64_MAX;
	const struct conn *conn;

	if (!em.dark) {
		due = earlier(due, earlier(pipe_due(&em.pipes[UP]), pipe_due(&em.pipes[DOWN])));
		TAILQ_FOREACH(conn, &em.conns, link)
		if (!conn->frozen && (conn->state == CONN_OPENING || conn->state == CONN_DRAINING))
			due = earlier(due, conn->due_ns);
	}
	if (due == UINT64_MAX)
		return -1;
	return due <= em.now_ns ? 0 : (int)((due - em.now_ns + 999999) / 1000000);
}

/* Commands. */

#define NO_FILTER "no socket filter may be attached here"

static bool answer_error(const char *why)
{
	printf("{\"error\": \"%s\"}\n", why);
	return false;
}

static bool parse_host(const char *text, struct sockaddr_in *ret)
{
	char host[64];
	const char *colon = strrchr(text, ':');

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	*ret = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))};
	return inet_pton(AF_INET, host, &ret->sin_addr) == 1;
}

static bool parse_direction(const char *text, unsigned *ret_first, unsigned *ret_last)
{
	bool both = strcmp(text, "both") == 0;

	if (!both && strcmp(text, "up") != 0 && strcmp(text, "down") != 0)
		return answer_error("no direction: up, down or both");
	*ret_first = strcmp(text, "down") == 0 ? DOWN : UP;
	*ret_last = strcmp(text, "up") == 0 ? UP : DOWN;
	return true;
}

/* The holder is bound and never listens: while nobody does, callers are refused. */
static bool forward_listen(struct forward *forward)
{
	int on = 1;

	forward->listener = make_socket();
	setsockopt(forward->listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(forward->listener, (struct sockaddr *)&forward->address,
		    sizeof(forward->address)) != 0 ||
		listen(forward->listener, BACKLOG) != 0) {
		close(forward->listener);
		forward->listener = -1;
		return false;
	}
	watch(forward->listener, &forward->watch, EPOLLIN);
	make_deaf(forward->listener, em.dark);
	return true;
}

static bool command_forward(char **words, size_t count)
{
	struct forward *forward = calloc(1, sizeof(*forward));
	socklen_t size = sizeof(forward->address);
	int on = 1;

	if (forward == NULL)
		stop("calloc");
	if (em.forward_count == FORWARDS_MAX || !parse_host(words[1], &forward->address) ||
		!parse_host(words[2], &forward->target)) {
		free(forward);
		return answer_error("forward HOST:PORT TARGET:PORT [back], numeric IPv4");
	}
	forward->watch = (struct watch){WATCH_FORWARD, forward, 0};
	forward->back = count > 3 && strcmp(words[3], "back") == 0;
	forward->holder = make_socket();
	setsockopt(forward->holder, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(forward->holder, (struct sockaddr *)&forward->address, size) != 0 ||
		getsockname(forward->holder, (struct sockaddr *)&forward->address, &size) != 0 ||
		!forward_listen(forward)) {
		close(forward->holder);
		free(forward);
		return answer_error(strerror(errno));
	}
	em.forwards[em.forward_count++] = forward;
	printf("{\"port\": %u}\n", ntohs(forward->address.sin_port));
	return true;
}

static uint64_t stall_seed(unsigned d)
{
	return em.seed * 2 + d;
}

static void set_one(struct pipe *pipe, unsigned d, const char *key, uint64_t value, uint64_t more)
{
	if (strcmp(key, "delay") == 0)
		pipe->delay_ns = value * 1000000;
	else if (strcmp(key, "bloat") == 0)
		pipe->bloat = value;
	else if (strcmp(key, "rate") == 0) {
		pipe->rate = value * 1000;
		pipe_changed(pipe, em.now_ns);
	} else {
		em.stall_gap_ns[d] = value * 1000000;
		em.stall_length_ns[d] = more * 1000000;
		stalls_set(&pipe->stalls, stall_seed(d), em.stall_gap_ns[d], em.stall_length_ns[d],
			em.now_ns);
	}
}

static bool command_set(char **words, size_t count)
{
	static const char *const keys[] = {"delay", "rate", "bloat", "stall", NULL};
	unsigned first, last;
	size_t key = 0;

	if (!parse_direction(words[1], &first, &last))
		return false;
	while (keys[key] != NULL && strcmp(keys[key], words[2]) != 0)
		key++;
	if (keys[key] == NULL || count != (key == 3 ? 5u : 4u))
		return answer_error("set up|down|both delay MS | rate KBITS | bloat BYTES | "
				    "stall GAP_MS LENGTH_MS");
	for (unsigned d = first; d <= last; d++)
		set_one(&em.pipes[d], d, words[2], strtoull(words[3], NULL, 10),
			key == 3 ? strtoull(words[4], NULL, 10) : 0);
	for (unsigned d = UP; d <= DOWN; d++)
		em.pipes[d].round_ns = em.pipes[UP].delay_ns + em.pipes[DOWN].delay_ns;
	printf("{}\n");
	return true;
}

static bool command_plan(char **words, size_t count)
{
	unsigned first, last;
	struct stalls stalls;
	unsigned long number = strtoul(words[2], NULL, 10);

	if (!parse_direction(words[1], &first, &last))
		return false;
	stalls_set(
		&stalls, stall_seed(first), em.stall_gap_ns[first], em.stall_length_ns[first], 0);
	printf("{\"stalls\": [");
	for (unsigned long i = 0; stalls.gap_ns != 0 && i < number; i++) {
		printf("%s[%.3f, %.3f]", i == 0 ? "" : ", ", (double)stalls.start_ns / 1e6,
			(double)(stalls.end_ns - stalls.start_ns) / 1e6);
		stalls_next(&stalls);
	}
	printf("]}\n");
	return true;
}

static bool command_cut(char **words, size_t count)
{
	cut_all(count < 2 || strcmp(words[1], "end") != 0);
	printf("{}\n");
	return true;
}

static bool command_cut_at(char **words, size_t count)
{
	unsigned first, last;
	uint64_t bytes = strtoull(words[2], NULL, 10);

	if (!parse_direction(words[1], &first, &last))
		return false;
	if (bytes == 0)
		return answer_error("cut-at up|down BYTES, 1 at least");
	em.cut_left[first] = bytes;
	printf("{}\n");
	return true;
}

static bool command_every(char **words, size_t count)
{
	em.every_ns = strtoull(words[1], NULL, 10) * 1000000;
	em.next_cut_ns = em.now_ns + em.every_ns;
	printf("{}\n");
	return true;
}

static void conn_deaf(struct conn *conn, bool deaf)
{
	for (unsigned s = 0; s < 2; s++)
		if (conn->sides[s].fd >= 0)
			make_deaf(conn->sides[s].fd, deaf);
}

/* Some kernels let root alone attach a filter: said before anything is done. */
static bool may_be_deaf(void)
{
	struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
	struct sock_fprog program = {.len = 1, .filter = &drop};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool may = fd >= 0 &&
		   setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;

	if (fd >= 0)
		close(fd);
	return may;
}

static bool command_half_open(char **words, size_t count)
{
	struct conn *conn;

	if (!may_be_deaf())
		return answer_error(NO_FILTER);
	TAILQ_FOREACH(conn, &em.conns, link)
	{
		conn->frozen = true;
		conn_deaf(conn, true);
	}
	printf("{}\n");
	return true;
}

static void set_dark(bool dark)
{
	struct conn *conn;

	em.dark = dark;
	TAILQ_FOREACH(conn, &em.conns, link)
	conn_deaf(conn, dark || conn->frozen);
	for (size_t i = 0; i < em.forward_count; i++)
		if (em.forwards[i]->listener >= 0)
			make_deaf(em.forwards[i]->listener, dark);
}

static bool command_dark(char **words, size_t count)
{
	if (!may_be_deaf())
		return answer_error(NO_FILTER);
	set_dark(true);
	printf("{}\n");
	return true;
}

static bool command_refuse(char **words, size_t count)
{
	for (size_t i = 0; i < em.forward_count; i++) {
		if (em.forwards[i]->listener >= 0)
			close(em.forwards[i]->listener);
		em.forwards[i]->listener = -1;
	}
	printf("{}\n");
	return true;
}

static bool command_heal(char **words, size_t count)
{
	set_dark(false);
	for (size_t i = 0; i < em.forward_count; i++)
		if (em.forwards[i]->listener < 0 && !forward_listen(em.forwards[i]))
			return answer_error(strerror(errno));
	printf("{}\n");
	return true;
}

static bool command_capture(char **words, size_t count)
{
	snprintf(em.capture, sizeof(em.capture), "%s", words[1]);
	printf("{}\n");
	return true;
}

static void print_direction(const char *name, unsigned d)
{
	printf(", \"%s\": {\"in\": %llu, \"out\": %llu, \"lost\": %llu, \"held\": %zu, "
	       "\"capacity\": %llu}",
		name, (unsigned long long)em.in[d], (unsigned long long)em.out[d],
		(unsigned long long)em.lost[d], em.pipes[d].queued + em.pipes[d].flying,
		(unsigned long long)pipe_capacity(&em.pipes[d]));
}

static bool command_count(char **words, size_t count)
{
	printf("{\"accepted\": %u, \"open\": %u", em.accepted, em.open);
	print_direction("up", UP);
	print_direction("down", DOWN);
	printf(", \"connections\": [");
	for (unsigned i = 0; i < em.accepted && i < HISTORY_MAX; i++) {
		const struct history *h = &em.history[i];

		printf("%s{\"open\": %s, \"up\": [%llu, %llu], \"down\": [%llu, %llu]}",
			i == 0 ? "" : ", ", h->open ? "true" : "false",
			(unsigned long long)h->in[UP], (unsigned long long)h->out[UP],
			(unsigned long long)h->in[DOWN], (unsigned long long)h->out[DOWN]);
	}
	printf("]}\n");
	return true;
}

static const struct command {
	const char *name;
	size_t words; /* at least */
	bool (*run)(char **words, size_t count);
} commands[] = {
	{"forward", 3, command_forward},
	{"set", 4, command_set},
	{"plan", 3, command_plan},
	{"cut", 1, command_cut},
	{"cut-at", 3, command_cut_at},
	{"every", 2, command_every},
	{"half-open", 1, command_half_open},
	{"dark", 1, command_dark},
	{"refuse", 1, command_refuse},
	{"heal", 1, command_heal},
	{"capture", 2, command_capture},
	{"count", 1, command_count},
};

static void obey(char *line)
{
	char *words[8], *rest = NULL;
	size_t count = 0;

	for (char *word = strtok_r(line, " ", &rest); word != NULL && count < 8;
		word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	for (size_t i = 0; count > 0 && i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(commands[i].name, words[0]) != 0)
			continue;
		if (count < commands[i].words)
			answer_error("words are missing");
		else
			commands[i].run(words, count);
		return;
	}
	answer_error("no such command");
}

static void read_input(void)
{
	ssize_t size =
		read(STDIN_FILENO, em.line + em.line_size, sizeof(em.line) - 1 - em.line_size);
	char *end;

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0)
		exit(0);
	em.line_size += (size_t)size;
	em.line[em.line_size] = '\0';
	while ((end = strchr(em.line, '\n')) != NULL) {
		*end = '\0';
		obey(em.line);
		em.line_size -= (size_t)(end + 1 - em.line);
		memmove(em.line, end + 1, em.line_size + 1);
	}
	if (em.line_size == sizeof(em.line) - 1)
		stop("a line too long");
	fflush(stdout);
}

static void side_event(struct conn *conn, unsigned s, uint32_t events)
{
	struct side *side = &conn->sides[s];
	bool dialling = s == (conn->forward->back ? 0u : 1u);

	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		side->readable = true;
	if ((events & EPOLLOUT) != 0)
		side->writable = true;
	if (conn->state == CONN_CONNECTING && dialling &&
		(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
		(void)conn_dialled(conn);
}

static bool alive(const void *owner)
{
	const struct conn *conn;

	TAILQ_FOREACH(conn, &em.conns, link)
	if (conn == owner)
		return true;
	return false;
}

int main(int argc, char **argv)
{
	static struct watch input = {.kind = WATCH_INPUT};
	struct epoll_event events[EVENTS];

	if (argc == 3 && strcmp(argv[1], "--seed") == 0)
		em.seed = strtoull(argv[2], NULL, 10);
	else if (argc != 1)
		return 2;
	em.epoll = epoll_create1(EPOLL_CLOEXEC);
	em.now_ns = clock_ns();
	em.cut_left[UP] = em.cut_left[DOWN] = UINT64_MAX;
	TAILQ_INIT(&em.conns);
	pipe_init(&em.pipes[UP]);
	pipe_init(&em.pipes[DOWN]);
	watch(STDIN_FILENO, &input, EPOLLIN);
	for (;;) {
		int count = epoll_wait(em.epoll, events, EVENTS, timeout_ms());

		em.now_ns = clock_ns();
		for (int i = 0; i < count; i++) {
			struct watch *w = events[i].data.ptr;

			if (w->kind == WATCH_FORWARD)
				accept_one(w->owner);
			else if (w->kind == WATCH_SIDE && alive(w->owner))
				side_event(w->owner, w->side, events[i].events);
		}
		for (int i = 0; i < count; i++)
			if (((struct watch *)events[i].data.ptr)->kind == WATCH_INPUT)
				read_input();
		run();
	}
}
