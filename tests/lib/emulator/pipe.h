/*
 * pipe: one direction of an emulated link, as a modem and what is behind it do it.
 *
 *   source -> queue (bounded) -> the modem sends at its rate, but not during a stall -> air (delay)
 *
 * One queue for all connections of the direction, first in, first out. What waits in it is bounded
 * by one bandwidth-delay product and the bloat; who finds no room must not read from the source, so
 * that back-pressure is the kernel's own. Nothing is lost or reordered on the way: the ends are
 * TCP, to whom loss is time, and a stall is that time.
 *
 * Stalls follow from the seed alone: their times, from the moment they were set, are the same in
 * every run. Everything is a function of the times handed in; no clock is read here.
 */
#ifndef TESTS_LIB_EMULATOR_PIPE_H
#define TESTS_LIB_EMULATOR_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum { PIPE_MTU = 1448 }; /* payload of one packet of 1,500 bytes */

enum packet_kind { PACKET_DATA, PACKET_END, PACKET_RESET };

struct packet {
	STAILQ_ENTRY(packet) link;
	void *owner; /* the caller's */
	enum packet_kind kind;
	size_t size, done; /* done: delivered so far, the caller's */
	uint64_t due_ns;   /* in the air: when it comes down */
	uint8_t data[];
};
STAILQ_HEAD(packets, packet);

struct stalls {
	uint64_t random;
	uint64_t gap_ns, length_ns; /* means; gap 0: none */
	uint64_t start_ns, end_ns;  /* the current or next one */
};

struct pipe {
	uint64_t delay_ns;
	uint64_t rate;        /* bits a second; 0: as fast as it comes */
	uint64_t round_ns;    /* the delays of both directions */
	uint64_t bloat;       /* bytes the queue holds beyond one bandwidth-delay product */
	struct stalls stalls; /* set by stalls_set */
	struct packets queue, air;
	size_t queued, flying; /* bytes */
	uint64_t free_ns;      /* when the modem has sent what it has */
	uint64_t head_ns;      /* when the head of the queue will have been sent; 0: not begun */
};

void pipe_init(struct pipe *pipe);
/* The stalls begin anew with this seed. length 0 or gap 0: none. Gaps are drawn evenly from 0 to
 * twice the mean, lengths from half of the mean to one and a half. */
void stalls_set(
	struct stalls *stalls, uint64_t seed, uint64_t gap_ns, uint64_t length_ns, uint64_t now_ns);
/* The next stall, after the one it shows now. */
void stalls_next(struct stalls *stalls);

/* Bytes the queue holds at most, one packet excepted. */
uint64_t pipe_capacity(const struct pipe *pipe);
bool pipe_room(const struct pipe *pipe);
struct packet *packet_new(
	void *owner, enum packet_kind kind, size_t size); /* aborts without memory */
void pipe_push(struct pipe *pipe, struct packet *packet, uint64_t now_ns);
/* What has come down by now; NULL: nothing. The caller's to free. */
struct packet *pipe_take(struct pipe *pipe, uint64_t now_ns);
/* When pipe_take is to be called next; UINT64_MAX: when something was pushed. */
uint64_t pipe_due(const struct pipe *pipe);
/* The rate has changed: what is being sent goes on at the new one. */
void pipe_changed(struct pipe *pipe, uint64_t now_ns);
/* Loses everything of this owner; how many bytes that were. */
size_t pipe_forget(struct pipe *pipe, const void *owner);

#endif
