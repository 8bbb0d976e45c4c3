/*
 * swap: can what is in memory reach a disk in clear? Swap can, and so can hibernation, unless what
 * they write to is encrypted. Linux only; reads /proc/swaps, /sys/dev/block and /sys/power.
 *
 * Encrypted is a device of dm-crypt (its dm uuid begins with CRYPT- and the name of a kind that
 * encrypts), and whatever lies on such devices alone: volumes, RAID, partitions, loop devices, and
 * files on a filesystem of such a device. zram is memory, and as good, unless it writes to another
 * device. A disk that encrypts by itself cannot be told from another. What cannot be judged is a
 * finding too: this fails closed.
 */
#ifndef NODE_SWAP_H
#define NODE_SWAP_H

#include <sys/stat.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

/* Where to look; tests have trees of their own. */
struct swap_roots {
	const char *proc, *sys;
	int (*stat)(const char *path, struct stat *ret); /* as stat(2) */
};
extern const struct swap_roots swap_roots_system;

enum { SWAP_FINDING_SIZE = 200 };
struct swap_report {
	size_t count; /* 0: nothing that is in memory is written to a disk in clear */
	/* In words, printable: "swap on '/dev/sda2' is not encrypted". At most LIMIT_SWAPS areas
	 * are looked at, and one place of hibernation. */
	char findings[LIMIT_SWAPS + 2][SWAP_FINDING_SIZE];
};

/* May wait for a disk: not for the loop. */
void swap_check(const struct swap_roots *roots, struct swap_report *ret);

/* OK when there is no finding; else ERR_DENIED: what was found, and what to do. */
enum err swap_refuse(const struct swap_report *report, struct errctx *ctx) MUST_USE;

#endif
