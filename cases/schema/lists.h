/*
 * The code lists themselves, for codes.c and table.c: LIST(symbol, name, title, codes).
 * Sources: DOMAIN 1.5; texts are ours.
 */
#ifndef CASES_SCHEMA_LISTS_H
#define CASES_SCHEMA_LISTS_H

#include "cases/schema/codes.h"

/* It finds no end in this one. */
/* clang-format off */
#define CODE_LISTS(LIST) \
	LIST(purposes) LIST(yes_no) LIST(understood) LIST(plan_agreed) \
	LIST(closure_agreed) LIST(intake_channels) LIST(contact_methods) \
	LIST(receivers) LIST(person_roles) LIST(sexes) LIST(age_groups) \
	LIST(age_bases) LIST(displacement) LIST(rights_formats) LIST(consent_givers) \
	LIST(consent_forms) LIST(allegation_types) LIST(gbv_types) LIST(precisions) \
	LIST(personnel) LIST(subject_counts) LIST(services) LIST(urgencies) \
	LIST(risks) LIST(answers) LIST(decline_reasons) LIST(referral_ends) \
	LIST(units) LIST(funders) LIST(deciders) LIST(unmet_reasons) \
	LIST(contact_channels) LIST(directions) LIST(contact_results) LIST(topics) \
	LIST(view_subjects) LIST(involvement) LIST(investigation_stages) \
	LIST(investigators) LIST(outcomes) LIST(action_phases) LIST(actions) \
	LIST(action_takers) LIST(accompaniments) LIST(concerns) LIST(concern_levels) \
	LIST(concern_sources) LIST(measures) LIST(claim_kinds) LIST(claimants) \
	LIST(paternity_stages) LIST(support_kinds) LIST(remedies) \
	LIST(complaint_kinds) LIST(complaint_stages) LIST(officer_roles) \
	LIST(transfer_reasons) LIST(transfer_answers) LIST(closures) LIST(reopenings) \
	LIST(correction_reasons) LIST(erasure_scopes) LIST(erasure_askers) \
	LIST(erasure_bases) LIST(erasure_decisions) LIST(erasure_stages) LIST(export_formats) \
	LIST(guardian_reasons) LIST(packet_formats) LIST(receipt_media) LIST(grant_bases) \
	LIST(revocation_reasons) LIST(opening_decisions)
/* clang-format on */

#define LIST(symbol) extern const struct code_list list_##symbol;
CODE_LISTS(LIST)
#undef LIST

#endif
