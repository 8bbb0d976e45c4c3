/*
 * repair: what fsck can put right in one transaction. Derived data (tiles, locator index, rows
 * behind a log's end) is made anew; an entry is never changed, nor removed if anything signs it:
 *
 *	- entries that the signed root proves to be damaged are marked, with the hash that is due
 *	- when neither entries nor tiles fit the signed root, all from the first bad index are
 *	  marked
 *	- behind the newest checkpoint a replica's log is cut before the first bad entry: its peers
 *	  have it, and a proof; an own log is marked there too
 *	- a row with one changed bit is mended: only one value fits the check
 *	- a log's name is taken from its checkpoint or its LogOpened; a replica's lost head is made
 *	  from the entries, without a checkpoint: its peers have one. An own log's needs its key
 *	- a cosignature that does not verify is dropped: its mirror sends it again
 */
#ifndef SERVER_FSCK_REPAIR_H
#define SERVER_FSCK_REPAIR_H

#include "server/fsck/check_log.h"

bool repair_log_can(const struct log_report *report);
/* What fails sticks in txn. */
void repair_log(struct txn *txn, const struct log_report *report);
/* Finds the name of a log that has none, and puts its row; whether it did. */
bool repair_name(struct txn *txn, uint32_t log);
/* Mends the checked rows of a table that can be; how many. */
size_t repair_rows(struct txn *txn, unsigned slot);

#endif
