/*
 * Every event type and its fields (DOMAIN 1.3). In the order in which they are asked.
 *
 *	FIELD(name, kind, question)			not required
 *	.. .required = true, .answers = .., .list = .., .preset = .. behind it
 *
 * What is required is what rules and indicators cannot do without, and no more: an officer who does
 * not know yet must be able to write down what she knows.
 */
#include "cases/schema/lists.h"
#include "cases/schema/schema.h"

#define NEED         .required = true
#define LIST(l)      .list = &list_##l
#define PRESET(text) .preset = text
#define UNSURE       .answers = ANSWER_ANY
#define FIELD(n, k, question, ...)                                                                 \
	{                                                                                          \
		.name = n, .kind = FIELD_##k, .ask = question, ##__VA_ARGS__                       \
	}

/* clang-format off: a table reads as a table */

/* What several types share. */
#define SERVICE       FIELD("service_code", CODE, "Which service?", NEED, LIST(services))
#define SERVICES(...) FIELD("service_code", CODES, "Which services?", LIST(services), ##__VA_ARGS__)
#define ALLEGATION_ID FIELD("allegation_ref", ID, "Which allegation?", NEED)
#define CLAIM         FIELD("claim_id", ID, "Which claim?", NEED)
#define REFERRAL      FIELD("referral_id", ID, "Which referral?", NEED)
/* A referral's answers need not repeat it. */
#define SERVICE_OF_REFERRAL FIELD("service_code", CODE, "Which service?", LIST(services))
#define MONEY                                                                                      \
	FIELD("amount", AMOUNT, "How much money?"),                                                \
		FIELD("currency", CURRENCY, "In which currency?")
#define RECIPIENTS               FIELD("recipients", NAMES, "For whom (offices, organisations)?")
#define GROUPS_OF(question, ...) FIELD("groups", GROUPS, question, ##__VA_ARGS__)

static const struct schema_field case_opened[] = {
	FIELD("case_code", CASE_CODE, "Code of the case?"),
	FIELD("intake_channel", CODE, "How did it come in?", LIST(intake_channels),
		PRESET("IN_PERSON")),
	FIELD("report_date", DATE, "When was it reported?", PRESET("today")),
	FIELD("first_contact_date", DATE, "When was the first contact with the victim?"),
	FIELD("entity_of_receipt", CODE, "Who received the report?", LIST(receivers), UNSURE),
	FIELD("preferred_language", LANGUAGE, "Which language does the victim prefer?"),
	FIELD("safe_contact_method", CODE, "How is it safe to get in touch?",
		LIST(contact_methods)),
	FIELD("do_not_contact_windows", WINDOWS, "At which hours must nobody get in touch?"),
};
static const struct schema_field person_recorded[] = {
	FIELD("person_ref", ID, "Reference of the person in this case?", NEED, PRESET("P-#")),
	FIELD("role", CODE, "Who is the person here?", NEED, LIST(person_roles), PRESET("VICTIM")),
	FIELD("sex", CODE, "Sex?", LIST(sexes), UNSURE),
	FIELD("age_group_at_incident", CODE, "Age group when it happened?", LIST(age_groups),
		UNSURE),
	FIELD("age_group_at_report", CODE, "Age group when it was reported?", LIST(age_groups),
		UNSURE),
	FIELD("age_group_basis", CODE, "How is the age known?", LIST(age_bases), UNSURE),
	FIELD("disability_status", CODE, "A disability (a lot of difficulty, or cannot)?",
		LIST(yes_no), UNSURE),
	FIELD("displacement_status", CODE, "Displaced?", LIST(displacement), UNSURE),
	FIELD("names", NAMES, "Names?"),
	FIELD("contacts", NAMES, "Telephone, address, other contacts?"),
	FIELD("documents", NAMES, "Documents?"),
};
static const struct schema_field rights_explained[] = {
	FIELD("statement_version", NAME, "Which version of the statement?", PRESET("2023")),
	FIELD("format", CODE, "How were the rights explained?", NEED, LIST(rights_formats),
		PRESET("ORAL")),
	FIELD("interpreter", CODE, "With an interpreter?", LIST(yes_no)),
	FIELD("understood", CODE, "Were they understood?", LIST(understood)),
};
static const struct schema_field consent_recorded[] = {
	FIELD("consent_id", ID, "Reference of the consent?", NEED, PRESET("C-#")),
	FIELD("purpose", CODE, "Consent to what?", NEED, LIST(purposes)),
	RECIPIENTS,
	GROUPS_OF("To share which data groups?"),
	FIELD("services", CODES, "For which services (none: all)?", LIST(services)),
	FIELD("given_by", CODE, "Who consented?", NEED, LIST(consent_givers), PRESET("VICTIM")),
	FIELD("guardian_ref", ID, "Which person is the guardian?"),
	FIELD("review_at_majority_on", DAY, "When does the child come of age?"),
	FIELD("form", CODE, "In which form?", NEED, LIST(consent_forms), PRESET("ORAL_WITNESSED")),
	FIELD("witness_ref", NAME, "Who was the witness?"),
	FIELD("valid_from", DAY, "From which day?", PRESET("today")),
	FIELD("valid_until", DAY, "Until which day?", NEED, PRESET("+365d")),
	FIELD("withhold_from", NAMES, "Who must not get anything?"),
	FIELD("withhold_reason", TEXT, "Why not?"),
	FIELD("statement_hash", HASH, "Hash of the signed statement?"),
};
static const struct schema_field consent_refused[] = {
	FIELD("purpose", CODE, "What was refused?", NEED, LIST(purposes)),
	RECIPIENTS,
	GROUPS_OF("Which data groups?"),
	FIELD("services", CODES, "Which services?", LIST(services)),
	FIELD("reason", TEXT, "A reason, if one was given?"),
};
static const struct schema_field consent_withdrawn[] = {
	FIELD("consent_id", ID, "Which consent is withdrawn?", NEED),
	FIELD("effective_at", DAY, "From which day?", PRESET("today")),
	FIELD("what_recipients_were_told", TEXT, "What were the recipients told?"),
	FIELD("data_recall_requested", CODE, "Should the recipients delete what they have?",
		LIST(yes_no)),
};
static const struct schema_field allegation_recorded[] = {
	FIELD("allegation_ref", ID, "Reference of the allegation?", NEED, PRESET("A-#")),
	FIELD("allegation_type", CODE, "Which type?", NEED, LIST(allegation_types)),
	FIELD("gbv_type", CODE, "Which core type, by the act alone?", LIST(gbv_types)),
	FIELD("incident_date", DATE, "When did it happen?"),
	FIELD("incident_precision", CODE, "How well is that date known?", LIST(precisions)),
	FIELD("incident_country", COUNTRY, "In which country?"),
	FIELD("subject_ref", IDS, "References of the subjects?"),
	FIELD("personnel_category", CODE, "Which category of personnel?", NEED, LIST(personnel)),
	FIELD("subject_entity", NAME, "Of which entity?"),
	FIELD("subject_nationality", COUNTRY, "Of which nationality?"),
	FIELD("number_of_subjects", CODE, "How many subjects?", LIST(subject_counts)),
	FIELD("reported_to", NAMES, "To whom was it reported?"),
	FIELD("external_ref", NAME, "Reference at OIOS or in CMTS?"),
};
static const struct schema_field needs_assessed[] = {
	SERVICES(NEED),
	FIELD("urgency", CODE, "How urgent?", LIST(urgencies)),
	FIELD("risk_level", CODE, "Which level of risk?", LIST(risks)),
	FIELD("pregnant", CODE, "Pregnant?", LIST(yes_no), UNSURE),
	FIELD("next_review_on", DAY, "When is it looked at again?", PRESET("+90d")),
};
static const struct schema_field action_plan_agreed[] = {
	FIELD("goals", TEXTS, "Which goals?", NEED),
	SERVICES(),
	FIELD("due_on", DAY, "By when?"),
	FIELD("victim_agreed", CODE, "Does the victim agree?", NEED, LIST(plan_agreed)),
	FIELD("supervisor_approval_ref", NAME, "Who approved it?"),
};
static const struct schema_field referral_made[] = {
	FIELD("referral_id", ID, "Reference of the referral?", NEED, PRESET("R-#")),
	SERVICE,
	FIELD("to_org", NAME, "To which organisation?"),
	FIELD("to_office", NAME, "To which office of the network?"),
	FIELD("urgency", CODE, "How urgent?", LIST(urgencies), PRESET("30D")),
	FIELD("consent_ref", EVENT, "On which consent?", NEED),
	FIELD("shared_groups", GROUPS, "Which data groups are shared?"),
	FIELD("reply_due_on", DAY, "By when is an answer due?", PRESET("+14d")),
};
static const struct schema_field referral_answered[] = {
	REFERRAL,
	SERVICE_OF_REFERRAL,
	FIELD("answer", CODE, "What is the answer?", NEED, LIST(answers)),
	FIELD("decline_reason", CODE, "Why was it declined?", LIST(decline_reasons)),
	FIELD("responder", NAME, "Who answered?"),
	FIELD("appointment_on", DAY, "When is the appointment?"),
};
static const struct schema_field referral_ended[] = {
	REFERRAL,
	SERVICE_OF_REFERRAL,
	FIELD("end", CODE, "How did it end?", NEED, LIST(referral_ends)),
};
static const struct schema_field assistance_provided[] = {
	SERVICE,
	FIELD("provider", NAME, "Who provided it?"),
	FIELD("referral_id", ID, "After which referral?"),
	FIELD("for_person_ref", ID, "For which person?"),
	FIELD("quantity", COUNT, "How much?"),
	FIELD("unit", CODE, "Of what?", LIST(units)),
	MONEY,
	FIELD("funded_by", CODE, "Who paid?", LIST(funders), UNSURE),
};
static const struct schema_field assistance_declined[] = {
	SERVICE,
	FIELD("by", CODE, "Who declined?", NEED, LIST(deciders), PRESET("VICTIM")),
	FIELD("offered_on", DAY, "When was it offered?"),
	FIELD("may_reoffer", CODE, "May it be offered again?", LIST(yes_no)),
};
static const struct schema_field need_unmet[] = {
	SERVICE,
	FIELD("reason", CODE, "Why is it unmet?", NEED, LIST(unmet_reasons)),
};
static const struct schema_field contact[] = {
	FIELD("channel", CODE, "How?", NEED, LIST(contact_channels)),
	FIELD("direction", CODE, "Who got in touch?", NEED, LIST(directions), PRESET("OUT")),
	FIELD("result", CODE, "With which result?", NEED, LIST(contact_results), PRESET("REACHED")),
	FIELD("topics", CODES, "What was told?", LIST(topics)),
	FIELD("substantive_update", CODE, "Was it a real update for the victim?", LIST(yes_no)),
	FIELD("next_contact_due_on", DAY, "When is the next contact?", PRESET("+45d")),
};
static const struct schema_field victim_view[] = {
	FIELD("subject", CODE, "A view on what?", NEED, LIST(view_subjects), PRESET("CASE")),
	FIELD("view", TEXT, "In the victim's own words?"),
	FIELD("wishes_level_of_involvement", CODE, "How far does the victim wish to be involved?",
		LIST(involvement)),
	FIELD("conveyed_to", NAMES, "To whom was it passed on?"),
};
static const struct schema_field investigation_stage[] = {
	ALLEGATION_ID,
	FIELD("stage", CODE, "Which stage?", NEED, LIST(investigation_stages)),
	FIELD("investigating_entity", CODE, "Who investigates?", LIST(investigators)),
	FIELD("stage_on", DATE, "Since when?", PRESET("today")),
	FIELD("source_of_info", NAME, "From whom is that known?"),
};
static const struct schema_field investigation_outcome[] = {
	ALLEGATION_ID,
	FIELD("outcome", CODE, "Which outcome?", NEED, LIST(outcomes)),
	FIELD("outcome_on", DATE, "When?", PRESET("today")),
	FIELD("victim_informed_on", DATE, "When was the victim told?"),
};
static const struct schema_field action_taken[] = {
	ALLEGATION_ID,
	FIELD("phase", CODE, "Interim or final?", NEED, LIST(action_phases)),
	FIELD("action", CODE, "Which action?", NEED, LIST(actions)),
	FIELD("by", CODE, "By whom?", LIST(action_takers), UNSURE),
	FIELD("action_on", DATE, "When?", PRESET("today")),
};
static const struct schema_field accompanied[] = {
	FIELD("to", CODE, "To what?", NEED, LIST(accompaniments)),
	FIELD("victim_requested", CODE, "Did the victim ask for it?", LIST(yes_no)),
	FIELD("support_person", CODE, "Was a support person there?", LIST(yes_no)),
	FIELD("interpreter", CODE, "Was an interpreter there?", LIST(yes_no)),
};
static const struct schema_field protection_concern[] = {
	FIELD("concern_id", ID, "Reference of the concern?", NEED, PRESET("K-#")),
	FIELD("kind", CODE, "What kind?", NEED, LIST(concerns)),
	FIELD("level", CODE, "How serious?", NEED, LIST(concern_levels)),
	FIELD("source", CODE, "Where does it come from?", LIST(concern_sources)),
	FIELD("reported_on", DATE, "When was it reported?", PRESET("today")),
};
static const struct schema_field protection_action[] = {
	FIELD("concern_id", ID, "Which concern?", NEED),
	FIELD("measure", CODE, "Which measure?", NEED, LIST(measures)),
	FIELD("started_on", DATE, "Since when?", PRESET("today")),
	FIELD("resolved_on", DATE, "When was the concern resolved?"),
};
static const struct schema_field paternity_opened[] = {
	FIELD("claim_id", ID, "Reference of the claim?", NEED, PRESET("F-#")),
	FIELD("child_ref", IDS, "Which children?"),
	FIELD("child_sex", CODE, "Sex of the child?", LIST(sexes), UNSURE),
	FIELD("child_birth_year", YEAR, "Year of birth?"),
	FIELD("claim_kind", CODE, "A claim to what?", NEED, LIST(claim_kinds), PRESET("BOTH")),
	FIELD("subject_state", COUNTRY, "State of the subject?"),
	FIELD("claimant", CODE, "Who claims?", NEED, LIST(claimants), PRESET("MOTHER")),
};
static const struct schema_field paternity_stage[] = {
	CLAIM,
	FIELD("stage", CODE, "Which stage?", NEED, LIST(paternity_stages)),
	FIELD("stage_on", DATE, "Since when?", PRESET("today")),
};
static const struct schema_field child_support[] = {
	CLAIM,
	FIELD("kind", CODE, "What is it?", NEED, LIST(support_kinds)),
	MONEY,
	FIELD("period_from", DATE, "For the time from?"),
	FIELD("period_to", DATE, "Until?"),
	FIELD("enforceable", CODE, "Is it enforceable?", LIST(yes_no), UNSURE),
};
static const struct schema_field remedy[] = {
	FIELD("kind", CODE, "Which remedy?", NEED, LIST(remedies)),
	FIELD("sought_on", DATE, "When was it sought?"),
	FIELD("granted_on", DATE, "When was it granted?"),
	FIELD("by", NAME, "By whom?"),
	MONEY,
};
static const struct schema_field complaint_received[] = {
	FIELD("complaint_id", ID, "Reference of the complaint?", NEED, PRESET("Q-#")),
	FIELD("about", CODE, "About what?", NEED, LIST(complaint_kinds)),
	FIELD("channel", CODE, "How did it come in?", LIST(intake_channels)),
	FIELD("anonymous", CODE, "Anonymous?", LIST(yes_no), PRESET("N")),
	FIELD("subject_officer", OFFICER, "Which officer is it about?"),
	FIELD("handled_by", OFFICER, "Who deals with it?"),
	FIELD("acknowledged_on", DAY, "When was it acknowledged?"),
};
static const struct schema_field complaint_stage[] = {
	FIELD("complaint_id", ID, "Which complaint?", NEED),
	FIELD("stage", CODE, "Which stage?", NEED, LIST(complaint_stages)),
	FIELD("informed_on", DATE, "When was the complainant told?"),
	FIELD("remedy", TEXT, "What was done about it?"),
};
static const struct schema_field feedback[] = {
	FIELD("items", ANSWERS, "Answers to the questions, in order (Y, N, 98)?", NEED),
	FIELD("would_recommend", CODE, "Would the victim recommend us?", LIST(yes_no),
		.answers = ANSWER_DECLINED),
};
static const struct schema_field officer_assigned[] = {
	FIELD("officer_key", OFFICER, "Which officer?", NEED),
	FIELD("role", CODE, "In which part?", NEED, LIST(officer_roles), PRESET("LEAD")),
	FIELD("from", DAY, "From which day?", PRESET("today")),
	FIELD("to", DAY, "Until which day?"),
};
static const struct schema_field transfer_offered[] = {
	FIELD("to_office", NAME, "To which office?", NEED),
	FIELD("reason", CODE, "Why?", NEED, LIST(transfer_reasons)),
	FIELD("consent_ref", EVENT, "On which consent?", NEED),
};
static const struct schema_field transfer_answered[] = {
	FIELD("to_office", NAME, "Which office answered?", NEED),
	FIELD("answer", CODE, "What is the answer?", NEED, LIST(transfer_answers)),
};
static const struct schema_field case_closed[] = {
	FIELD("reason", CODE, "Why is it closed?", NEED, LIST(closures)),
	FIELD("victim_agreed", CODE, "Does the victim agree?", NEED, LIST(closure_agreed)),
	FIELD("closed_on", DAY, "On which day?", PRESET("today")),
	FIELD("retention_until", DAY, "Until when is it kept?"),
	FIELD("approval_ref", NAME, "Who approved it?"),
};
static const struct schema_field case_reopened[] = {
	FIELD("reason", CODE, "Why is it opened again?", NEED, LIST(reopenings)),
	FIELD("reopened_on", DAY, "On which day?", PRESET("today")),
};
static const struct schema_field correction[] = {
	FIELD("corrects", EVENT, "Which event?", NEED),
	FIELD("field", FIELD, "Which field?", NEED),
	FIELD("new_value", VALUE, "What is right?", NEED),
	FIELD("reason", CODE, "Why?", NEED, LIST(correction_reasons), PRESET("ERROR")),
	FIELD("old_hash", HASH, "Hash of the old value?"),
};
static const struct schema_field conflict_resolved[] = {
	FIELD("chosen", EVENT, "Which event holds?", NEED),
	FIELD("over", EVENTS, "Over which others?", NEED),
	FIELD("by", OFFICER, "Who decided?"),
};
static const struct schema_field erasure_requested[] = {
	FIELD("scope", CODE, "What is to be erased?", NEED, LIST(erasure_scopes)),
	GROUPS_OF("Which data groups?"),
	FIELD("event", EVENT, "Which event?"),
	FIELD("asked_by", CODE, "Who asked?", NEED, LIST(erasure_askers), PRESET("VICTIM")),
	FIELD("basis", CODE, "Why?", NEED, LIST(erasure_bases)),
	FIELD("decision", CODE, "What was decided?", LIST(erasure_decisions), PRESET("PENDING")),
	FIELD("legal_hold", CODE, "Is there a legal hold?", LIST(yes_no)),
};
static const struct schema_field erasure_done[] = {
	FIELD("scope", CODE, "What was erased?", NEED, LIST(erasure_scopes)),
	FIELD("key_ids", REFS, "Which keys were destroyed?"),
	FIELD("nodes_confirmed", NAMES, "Which nodes confirmed it?"),
};
static const struct schema_field access_granted[] = {
	FIELD("case", REF, "Which case?", NEED),
	FIELD("recipient", NAME, "To whom?", NEED),
	GROUPS_OF("Which data groups?", NEED, .audit = true),
	FIELD("consent_ref", EVENT, "On which consent?"),
	FIELD("mandate_ref", NAME, "On which mandate?"),
	FIELD("until", DAY, "Until when?"),
	FIELD("commitment", HASH, "Commitment to the grant?"),
	FIELD("purpose", CODE, "To which purpose?", LIST(purposes)),
	FIELD("basis", CODE, "On what does it rest?", LIST(grant_bases)),
	FIELD("history", CODE, "What was recorded before, too?", LIST(yes_no)),
	FIELD("nonce", HASH, "What hides the keys in the commitment?"),
	FIELD("consent_leaf", HASH, "Leaf hash of the entry with the consent?"),
	FIELD("key_ids", REFS, "Which keys?"),
};
static const struct schema_field access_revoked[] = {
	FIELD("case", REF, "Which case?", NEED),
	FIELD("recipient", NAME, "From whom?", NEED),
	GROUPS_OF("Which data groups?", NEED, .audit = true),
	FIELD("grant", EVENT, "Which grant?"),
	FIELD("reason", CODE, "Why?", LIST(revocation_reasons)),
};
static const struct schema_field record_viewed[] = {
	FIELD("who", OFFICER, "Who looked?", NEED),
	FIELD("case", REF, "At which case?", NEED),
	GROUPS_OF("At which data groups?"),
	FIELD("purpose", TEXT, "What for?"),
};
static const struct schema_field export_made[] = {
	FIELD("who", OFFICER, "Who exported?", NEED),
	FIELD("format", CODE, "In which format?", NEED, LIST(export_formats)),
	FIELD("cases", REFS, "Which cases (none named: more than can be listed)?"),
	FIELD("case_count", COUNT, "How many cases?", NEED),
	GROUPS_OF("Which data groups?"),
	FIELD("purpose", TEXT, "What for?"),
	FIELD("file_hash", HASH, "Hash of the file?", NEED),
	FIELD("recipient", NAME, "For whom?"),
	FIELD("revealed", REFS,
		"Which entries were opened (the first half of SHA-256 of their P)?"),
	FIELD("consent_ref", EVENT, "On which consent?"),
};
static const struct schema_field keys_erased[] = {
	FIELD("order_id", REF, "Which order?", NEED),
	FIELD("stage", CODE, "How far is it?", NEED, LIST(erasure_stages)),
	FIELD("case", REF, "Which case?"),
	FIELD("by", NAME, "Which node ordered it?"),
	FIELD("key_ids", REFS, "Which keys?"),
	FIELD("nodes_confirmed", NAMES, "Which nodes confirmed it?"),
};
static const struct schema_field mail_released[] = {
	FIELD("who", OFFICER, "Who compared the words?", NEED),
	FIELD("recipient", NAME, "To whom may keys leave?", NEED),
	FIELD("node_key", HASH, "SHA-256 of the node key whose words they were?", NEED),
	FIELD("second_approver", OFFICER, "Who agreed?", NEED),
};
static const struct schema_field break_glass[] = {
	FIELD("who", OFFICER, "Who opened it?", NEED),
	FIELD("case", REF, "Which case?", NEED),
	GROUPS_OF("Which data groups?", NEED),
	FIELD("purpose", TEXT, "Why?", NEED),
	FIELD("approvers", OFFICERS, "Who approved it?"),
	FIELD("victim_told_on", DATE, "When was the victim told?"),
	FIELD("to", NAME, "For whom was it opened?"),
	FIELD("legal_basis", NAME, "On which legal basis?"),
	FIELD("opening", REF, "Which opening is it about?"),
	FIELD("decision", CODE, "What became of it?", LIST(opening_decisions)),
};
static const struct schema_field incident_of_breach[] = {
	FIELD("what", TEXT, "What happened?", NEED),
	FIELD("when_found", DATE, "When was it found?", NEED),
	FIELD("cases", REFS, "Which cases are affected?"),
	FIELD("victims_told_on", DATE, "When were the victims told?"),
};
static const struct schema_field mandatory_report[] = {
	FIELD("to", NAME, "To which authority?", NEED),
	FIELD("legal_basis", NAME, "On which legal basis?", NEED),
	GROUPS_OF("Which data groups?"),
	FIELD("victim_told_before", CODE, "Was the victim told before?", NEED, LIST(yes_no)),
	FIELD("second_approver", OFFICER, "Who approved it, too?", NEED),
};
static const struct schema_field legal_hold[] = {
	FIELD("authority", NAME, "On whose order?", NEED),
	FIELD("until", DAY, "Until when?", NEED),
	FIELD("approvers", OFFICERS, "Which two officers approved it?", NEED),
	FIELD("victim_told_on", DATE, "When was the victim told?"),
};
static const struct schema_field guardian_changed[] = {
	FIELD("guardian_ref", ID, "Which person is the guardian now?", NEED),
	FIELD("replaces", ID, "In place of which person?"),
	FIELD("reason", CODE, "Why?", NEED, LIST(guardian_reasons)),
	FIELD("best_interests_decision_ref", NAME, "Reference of the best-interests decision?"),
};
static const struct schema_field external_packet[] = {
	FIELD("recipient", NAME, "To which organisation?", NEED),
	GROUPS_OF("Which data groups?", NEED),
	FIELD("fields", NAMES, "Which fields?"),
	FIELD("format", CODE, "In which form?", NEED, LIST(packet_formats)),
	FIELD("consent_ref", EVENT, "On which consent?", NEED),
	FIELD("recalled_on", DAY, "When was it recalled?"),
};
static const struct schema_field receipt_given[] = {
	FIELD("medium", CODE, "How does the victim keep it?", NEED, LIST(receipt_media)),
	FIELD("risk_discussed_on", DAY, "On which day was the risk of paper talked about?"),
};

#define TYPES(TYPE)                                                                                \
	TYPE(CASE_OPENED, case_opened, "open", "Case opened",                                      \
		"The first event of a case. The node makes the code when none is given.")          \
	TYPE(PERSON_RECORDED, person_recorded, "person", "Person",                                 \
		"Somebody the case is about. Names, contacts and documents have a key of their "   \
		"own.")                                                                            \
	TYPE(RIGHTS_EXPLAINED, rights_explained, "rights", "Rights explained", "")                 \
	TYPE(CONSENT_RECORDED, consent_recorded, "consent", "Consent given",                       \
		"A consent has a purpose, a scope and an end. Without one to CASE_MGMT a case "    \
		"holds contacts alone.")                                                           \
	TYPE(CONSENT_REFUSED, consent_refused, "refusal", "Consent refused",                       \
		"A reason is never needed.")                                                       \
	TYPE(CONSENT_WITHDRAWN, consent_withdrawn, "withdrawal", "Consent withdrawn", "")          \
	TYPE(ALLEGATION_RECORDED, allegation_recorded, "allegation", "Allegation",                 \
		"Carries no reference to another victim of the same report.")                      \
	TYPE(NEEDS_ASSESSED, needs_assessed, "needs", "Needs assessed", "")                        \
	TYPE(ACTION_PLAN_AGREED, action_plan_agreed, "plan", "Action plan agreed", "")             \
	TYPE(REFERRAL_MADE, referral_made, "referral", "Referral made",                            \
		"Needs a live consent to REFERRAL that covers the recipient, the service and the " \
		"groups.")                                                                         \
	TYPE(REFERRAL_ANSWERED, referral_answered, "answer", "Referral answered", "")              \
	TYPE(REFERRAL_ENDED, referral_ended, "end", "Referral ended", "")                          \
	TYPE(ASSISTANCE_PROVIDED, assistance_provided, "assistance", "Assistance provided", "")    \
	TYPE(ASSISTANCE_DECLINED, assistance_declined, "declined", "Assistance declined",          \
		"An outcome, not a failure.")                                                      \
	TYPE(NEED_UNMET, need_unmet, "unmet", "Need not met", "")                                  \
	TYPE(CONTACT, contact, "contact", "Contact",                                               \
		"A contact with the victim, or an attempt. That there is nothing new is an "       \
		"update, too.")                                                                    \
	TYPE(VICTIM_VIEW, victim_view, "view", "The victim's view", "")                            \
	TYPE(INVESTIGATION_STAGE, investigation_stage, "investigation",                            \
		"Stage of the investigation", "")                                                  \
	TYPE(INVESTIGATION_OUTCOME, investigation_outcome, "outcome",                              \
		"Outcome of the investigation",                                                    \
		"Unsubstantiated does not mean that it did not happen.")                           \
	TYPE(ACTION_TAKEN, action_taken, "action", "Action taken", "")                             \
	TYPE(ACCOMPANIED, accompanied, "accompanied", "Victim accompanied", "")                    \
	TYPE(PROTECTION_CONCERN, protection_concern, "concern", "Protection concern", "")          \
	TYPE(PROTECTION_ACTION, protection_action, "protection", "Protection measure", "")         \
	TYPE(PATERNITY_OPENED, paternity_opened, "claim", "Paternity claim opened", "")            \
	TYPE(PATERNITY_STAGE, paternity_stage, "claim-stage", "Stage of the paternity claim", "")  \
	TYPE(CHILD_SUPPORT, child_support, "support", "Child support", "")                         \
	TYPE(REMEDY, remedy, "remedy", "Remedy", "")                                               \
	TYPE(COMPLAINT_RECEIVED, complaint_received, "complaint", "Complaint received",            \
		"Never dealt with by the officer it is about. One about staff goes to another "    \
		"node: case complain.")                                                            \
	TYPE(COMPLAINT_STAGE, complaint_stage, "complaint-stage", "Stage of the complaint", "")    \
	TYPE(FEEDBACK, feedback, "feedback", "Feedback", "")                                       \
	TYPE(OFFICER_ASSIGNED, officer_assigned, "assignment", "Officer assigned", "")             \
	TYPE(TRANSFER_OFFERED, transfer_offered, "transfer", "Transfer offered",                   \
		"Needs a live consent to TRANSFER.")                                               \
	TYPE(TRANSFER_ANSWERED, transfer_answered, "transfer-answer", "Transfer answered", "")     \
	TYPE(CASE_CLOSED, case_closed, "close", "Case closed", "")                                 \
	TYPE(CASE_REOPENED, case_reopened, "reopen", "Case opened again", "")                      \
	TYPE(CORRECTION, correction, "correction", "Correction",                                   \
		"The old value stays, struck; nothing is overwritten.")                            \
	TYPE(CONFLICT_RESOLVED, conflict_resolved, "resolution", "Conflict resolved", "")          \
	TYPE(ERASURE_REQUESTED, erasure_requested, "erasure", "Erasure asked for", "")             \
	TYPE(ERASURE_DONE, erasure_done, "erasure-done", "Erasure done", "")                       \
	TYPE(ACCESS_GRANTED, access_granted, "grant", "Access granted", "")                        \
	TYPE(ACCESS_REVOKED, access_revoked, "revocation", "Access revoked", "")                   \
	TYPE(RECORD_VIEWED, record_viewed, "viewed", "Record viewed", "")                          \
	TYPE(EXPORT_MADE, export_made, "export", "Export made", "")                                \
	TYPE(BREAK_GLASS, break_glass, "break-glass", "Opened without consent", "")                \
	TYPE(INCIDENT_OF_BREACH, incident_of_breach, "breach", "Breach of data", "")               \
	TYPE(MANDATORY_REPORT, mandatory_report, "mandatory-report", "Report required by law", "") \
	TYPE(LEGAL_HOLD, legal_hold, "hold", "Legal hold",                                         \
		"Nothing is erased while it lasts. Two officers approve it.")                      \
	TYPE(GUARDIAN_CHANGED, guardian_changed, "guardian", "Guardian changed", "")               \
	TYPE(EXTERNAL_PACKET, external_packet, "packet", "Packet for an organisation",             \
		"For a recipient without a node. Needs a live consent that names it.")             \
	TYPE(KEYS_ERASED, keys_erased, "keys-erased", "Keys erased",                               \
		"An order to destroy keys: that it was given, obeyed, or is complete.")            \
	TYPE(MAIL_RELEASED, mail_released, "mail-released", "Keys may leave",                      \
		"Headquarters is silent; for a day, on two officers' word.")                       \
	TYPE(RECEIPT_GIVEN, receipt_given, "receipt", "Receipt given",                             \
		"Six words that prove the first contact; made and recorded by case receipt. On "   \
		"paper only after the risk was talked about.")

static const struct schema_type table[] = {
#define TYPE(symbol, array, alias_, title_, help_)                                                 \
	{EVENT_##symbol, alias_, title_, help_, array, sizeof array / sizeof array[0]},
	TYPES(TYPE)
#undef TYPE
};

static const struct schema_field note = FIELD("note", NOTE, "A note?");

/* clang-format on */

_Static_assert(sizeof table / sizeof table[0] == EVENT_TYPE_LAST, "a row for each type");

const struct schema_type *schema_type_get(uint32_t number)
{
	return number >= 1 && number <= EVENT_TYPE_LAST ? &table[number - 1] : NULL;
}

static char folded(char c)
{
	if (c == '-' || c == ' ')
		return '_';
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Names in any case, with '-' or a space for '_'. */
static bool same_name(const char *name, struct bytes text)
{
	if (strlen(name) != text.size)
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (folded(name[i]) != folded((char)text.data[i]))
			return false;
	return true;
}

const struct schema_type *schema_type_find(struct bytes name)
{
	for (size_t i = 0; i < EVENT_TYPE_LAST; i++)
		if (same_name(table[i].alias, name) ||
			same_name(event_type_get(table[i].number)->name, name))
			return &table[i];
	return NULL;
}

static bool in_ledger(const struct schema_type *type)
{
	return event_type_get(type->number)->rule == EVENT_RULE_LEDGER;
}

const struct schema_field *schema_field_at(const struct schema_type *type, size_t i)
{
	if (i < type->field_count)
		return &type->fields[i];
	return i == type->field_count && !in_ledger(type) ? &note : NULL;
}

const struct schema_field *schema_field_find(const struct schema_type *type, struct bytes name)
{
	const struct schema_field *field;

	for (size_t i = 0; (field = schema_field_at(type, i)) != NULL; i++)
		if (bytes_equal_str(name, field->name))
			return field;
	return NULL;
}

enum group schema_field_group(const struct schema_type *type, const struct schema_field *field)
{
	enum group own = event_field_group(bytes_str(field->name));
	const struct event_type *event = event_type_get(type->number);

	if (own != GROUP_NONE)
		return own;
	return event->rule == EVENT_RULE_FIXED || event->rule == EVENT_RULE_LEDGER ? event->main
										   : GROUP_NONE;
}
