/*
 * bandwidth: the words of sauti.conf for rates, hours and zones.
 *
 *   RATE      a whole number and its unit, kbit/s or Mbit/s (1,000 or 1,000,000 bits a second),
 * from 1kbit/s to 10000Mbit/s; or `unlimited` SCHEDULE  RULE, RULE, .. [, else USE] RULE      DAYS
 * FROM-TO USE     DAYS: `mon`, `mon-fri`, `sat-mon`; FROM, TO: HH:MM, 00:00 to 24:00; a TO that is
 * not after FROM is of the day after USE       RATE, `urgent` (no catching up) or `closed` (no
 * session) ZONE      `UTC`, `UTC+HH:MM` or `UTC-HH:MM`, from -12:00 to +14:00
 *
 * The first rule that holds decides. At most LIMIT_SCHEDULE_RULES rules. One space between words;
 * none inside them; spaces around a comma do not count. Pure. ERR_INVALID and ERR_LIMIT, ctx says
 * what was found and what is allowed.
 */
#ifndef NODE_BANDWIDTH_H
#define NODE_BANDWIDTH_H

#include "base/err.h"
#include "replication/engine/rate.h"

enum err bandwidth_rate(const char *text, uint64_t *ret, struct errctx *ctx) MUST_USE;
/* Leaves zone_min alone. */
enum err bandwidth_schedule(const char *text, struct rate_hours *ret, struct errctx *ctx) MUST_USE;
enum err bandwidth_zone(const char *text, int16_t *ret_min, struct errctx *ctx) MUST_USE;

struct buf;
/* Appends them as they are written in a file. */
void bandwidth_write_rate(struct buf *out, uint64_t rate);
void bandwidth_write_schedule(struct buf *out, const struct rate_hours *hours);
void bandwidth_write_zone(struct buf *out, int16_t zone_min);

#endif
