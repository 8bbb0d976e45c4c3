/*
 * What the driven program writes and the checker wants to find again: logs whose content follows
 * from their number, and the sentences ("marks") in which the program says what it did. A mark
 * stands in the recorder's trace between the writes; the checker reads those before the cut.
 *
 *   opened VERDICT           the store was opened; what the guard said of it
 *   sent LOG SIZE            a write that makes the log this long is submitted
 *   held LOG SIZE CHECKPOINT ... is acknowledged, with the checkpoint of this size (0: none yet)
 *   cosigned LOG MIRROR SIZE a cosignature is acknowledged
 *   keys COUNT               keys [0, COUNT) of the keyring are acknowledged
 *   invites COUNT            invites [0, COUNT)
 *   commits COUNT            the store's commit number after an acknowledgement
 */
#ifndef TESTS_POWER_WORKLOAD_H
#define TESTS_POWER_WORKLOAD_H

#include "server/store/keyring.h"
#include "tests/unit/store/support.h"

enum { POWER_LOGS = 4, POWER_MIRRORS = 3, POWER_INVITES = 64 };

/* Log 0 is the node's own, the others are replicas of other nodes' logs: these get a checkpoint now
 * and then only. As tlog_init. */
void power_log_init(struct tlog *log, unsigned number);

/* As entry_make, and some of tens of kilobytes, which LMDB keeps on pages of their own. */
void power_entry(struct buf *out, unsigned log, uint64_t index);
/* As tlog_write, of power_entry. */
struct store_write *power_write(struct tlog *log, size_t count);
/* A log as it is with that many entries. */
void power_log(struct tlog *log, unsigned number, uint64_t size);

void power_cosigner(char ret[NOTE_KEY_NAME_MAX + 1], unsigned mirror);
void power_cosignature(struct buf *out, unsigned log, unsigned mirror, uint64_t size);
void power_key(struct keyring_item *ret, struct buf *value, uint64_t number);
void power_invite(char name[16], struct buf *value, uint64_t number);

/* The node's directory holds `store` and `keyring`, and is there. */
void power_place(struct place *place, char keyring[300], const char *directory);

#endif
