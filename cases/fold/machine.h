/*
 * The machines of a case: where a referral, transfer, paternity claim, investigation, complaint,
 * protection concern stands, and where it may go from there. Tables of allowed moves, the diagram
 * above each (machine.c). A thing begins at status 0, which has no name.
 *
 * Static data.
 */
#ifndef CASES_FOLD_MACHINE_H
#define CASES_FOLD_MACHINE_H

#include "base/buf.h"
#include "base/bytes.h"

enum machine_kind {
	MACHINE_NONE,
	MACHINE_REFERRAL,
	MACHINE_TRANSFER,
	MACHINE_CLAIM,
	MACHINE_INVESTIGATION,
	MACHINE_OUTCOME, /* of an investigation */
	MACHINE_COMPLAINT,
	MACHINE_CONCERN,
	MACHINE_CASE,
	MACHINE_COUNT,
};

/* Statuses other code must know by name; their order is that of machine.c. */
enum referral_status {
	REFERRAL_MADE = 1,
	REFERRAL_ACCEPTED,
	REFERRAL_PARTIAL,
	REFERRAL_DECLINED,
	REFERRAL_DONE,
	REFERRAL_REVOKED,
	REFERRAL_WITHDRAWN,
	REFERRAL_EXPIRED,
	REFERRAL_NO_SHOW,
};
enum transfer_status {
	TRANSFER_OFFERED = 1,
	TRANSFER_ACCEPTED,
	TRANSFER_DECLINED,
	TRANSFER_REVOKED
};
enum claim_status { CLAIM_RECEIVED = 1, CLAIM_CLOSED_FIRST = 14, CLAIM_CLOSED_RESOLVED = 14 };
enum investigation_status {
	INVESTIGATION_UNDER = 5,
	INVESTIGATION_COMPLETED,
	INVESTIGATION_CLOSED
};
enum complaint_status { COMPLAINT_RECEIVED = 1, COMPLAINT_ACKNOWLEDGED };
enum concern_status { CONCERN_OPEN = 1, CONCERN_RESOLVED };
enum case_status { CASE_STATUS_OPEN = 1, CASE_STATUS_CLOSED };

/* The code of a status; "" for 0 and for numbers that are none. */
const char *machine_name(enum machine_kind kind, unsigned status);
/* 0 for a code that is none of the machine's. */
unsigned machine_find(enum machine_kind kind, struct bytes code);
bool machine_allows(enum machine_kind kind, unsigned from, unsigned to);
/* Nothing but a new beginning may follow. */
bool machine_ended(enum machine_kind kind, unsigned status);
/* Appends where it may go from there: "ACCEPTED, DECLINED"; "nothing". */
void machine_next(enum machine_kind kind, unsigned from, struct buf *out);

#endif
