/*
 * The code lists, and how a code is found. Numbers in brackets are DOMAIN's lists.
 */
#include "cases/schema/codes.h"

#include "cases/schema/lists.h"

#define CODES(symbol, list_name, list_title, ...)                                                  \
	static const struct code codes_##symbol[] = {__VA_ARGS__};                                 \
	const struct code_list list_##symbol = {list_name, list_title, codes_##symbol,             \
		sizeof codes_##symbol / sizeof codes_##symbol[0]};

/* clang-format off: a table reads as a table */

CODES(purposes, "purposes", "Purposes of consent (C1)",
	{"CASE_MGMT", "keeping the case and helping with it"},
	{"REFERRAL", "referral to a service"}, {"INVESTIGATION", "an investigation"},
	{"PATERNITY", "a paternity or child-support claim"},
	{"TRANSFER", "transfer to another office"}, {"STATISTICS", "being counted, without a name"},
	{"ATTACH_EVIDENCE", "keeping evidence with the case"}, {"MEDIA", "contact with the media"})
CODES(yes_no, "yes_no", "Yes or no", {"Y", "yes"}, {"N", "no"})
CODES(understood, "understood", "Understood", {"Y", "yes"}, {"PARTLY", "partly"}, {"N", "no"})
CODES(plan_agreed, "plan_agreed", "The victim's agreement to a plan", {"Y", "yes"},
	{"PART", "to a part of it"}, {"N", "no"})
CODES(closure_agreed, "closure_agreed", "The victim's agreement to a closure", {"Y", "yes"},
	{"N", "no"}, {"NOT_REACHED", "could not be reached"})
CODES(intake_channels, "intake_channels", "How a case came in", {"IN_PERSON", "in person"},
	{"PHONE", "by telephone"}, {"SMS", "by text message"}, {"LETTER", "by letter"},
	{"FOCAL_POINT", "through a focal point"}, {"REFERRED", "referred by another organisation"},
	{"OUTREACH", "during outreach"}, {"COMPLAINT", "as a complaint"}, {"OTHER", "another way"})
CODES(contact_methods, "contact_methods", "Safe ways to make contact", {"IN_PERSON", "in person"},
	{"PHONE", "by telephone"}, {"SMS", "by text message"},
	{"VIA_FOCAL_POINT", "through a focal point"}, {"LETTER", "by letter"},
	{"NONE", "none: the victim gets in touch"})
CODES(receivers, "receivers", "Who received the report", {"MISSION", "a peace operation"},
	{"AFP", "an agency, fund or programme"}, {"IMPL_PARTNER", "an implementing partner"},
	{"NGO", "a non-governmental organisation"}, {"STATE", "a national authority"},
	{"OTHER", "somebody else"})
CODES(person_roles, "person_roles", "Roles of a person", {"VICTIM", "victim"},
	{"CHILD_BORN", "child born of it"}, {"GUARDIAN", "guardian"},
	{"COMPLAINANT_3P", "complainant for somebody else"}, {"WITNESS", "witness"})
CODES(sexes, "sexes", "Sex", {"F", "female"}, {"M", "male"}, {"OTHER", "other"})
CODES(age_groups, "age_groups", "Age groups", {"0-11", "0 to 11 years"},
	{"12-17", "12 to 17 years"}, {"18-25", "18 to 25 years"}, {"26-40", "26 to 40 years"},
	{"41-60", "41 to 60 years"}, {"61+", "61 years or more"})
CODES(age_bases, "age_bases", "How an age is known", {"STATED", "as stated"},
	{"ESTIMATED", "estimated"}, {"DOC", "from a document"})
CODES(displacement, "displacement", "Displacement", {"NONE", "not displaced"},
	{"IDP", "internally displaced"}, {"REFUGEE", "refugee"}, {"ASYLUM_SEEKER", "asylum seeker"},
	{"RETURNEE", "returnee"}, {"STATELESS", "stateless"}, {"OTHER", "other"})
CODES(rights_formats, "rights_formats", "How the rights were explained", {"ORAL", "spoken"},
	{"PRINT", "printed"}, {"AUDIO", "as a recording"}, {"SIGN", "in sign language"},
	{"EASY_READ", "in easy language"})
CODES(consent_givers, "consent_givers", "Who gave a consent", {"VICTIM", "the victim"},
	{"MATURE_MINOR", "a minor who can decide"}, {"GUARDIAN", "the guardian"},
	{"VICTIM_ASSENT+GUARDIAN", "the child agrees and the guardian consents"})
CODES(consent_forms, "consent_forms", "Form of a consent",
	{"ORAL_WITNESSED", "spoken, before a witness"}, {"WRITTEN", "written"},
	{"AUDIO", "recorded"})
CODES(allegation_types, "allegation_types", "Types of allegation (A1)",
	{"SE", "sexual exploitation"}, {"SA", "sexual abuse"}, {"OTHER", "other"},
	{"UNKNOWN", "unknown"})
CODES(gbv_types, "gbv_types", "GBVIMS core types", {"RAPE", "rape"},
	{"SEXUAL_ASSAULT", "sexual assault"}, {"PHYSICAL_ASSAULT", "physical assault"},
	{"FORCED_MARRIAGE", "forced marriage"},
	{"DENIAL", "denial of resources, opportunities or services"},
	{"PSYCHOLOGICAL", "psychological or emotional abuse"})
CODES(precisions, "precisions", "Precision of a date", {"D", "the day is known"},
	{"M", "the month is known"}, {"Y", "the year is known"}, {"UNKNOWN", "not known"})
CODES(personnel, "personnel", "Categories of personnel (A2)",
	{"CIV_INT", "civilian, international"}, {"CIV_NS", "civilian, national"},
	{"CIV_UNV", "UN volunteer"}, {"MIL_MC", "military contingent member"},
	{"MIL_MO", "military observer"}, {"POL_UNPOL", "police officer"},
	{"POL_FPU", "formed police unit"}, {"AFP", "of an agency, fund or programme"},
	{"IMPL_PARTNER", "of an implementing partner"}, {"NON_UN_FORCE", "of another force"},
	{"CONTRACTOR", "contractor"}, {"CONSULTANT", "consultant"}, {"UNKNOWN", "unknown"})
CODES(subject_counts, "subject_counts", "Number of subjects", {"1", "one"}, {"2", "two"},
	{"3", "three"}, {">3", "more than three"}, {"UNK", "unknown"})
CODES(services, "services", "Services (S1)", {"MED", "medical"},
	{"MED_SRH", "sexual and reproductive health, within 72 hours"}, {"PSY", "psychosocial"},
	{"LEGAL", "legal"}, {"LIVELIHOOD", "livelihood"}, {"EDU", "education"},
	{"SHELTER", "shelter"}, {"MATERIAL", "food, clothes, dignity kit"}, {"SAFETY", "safety"},
	{"CHILD_PROT", "child protection"}, {"INTERPRET", "interpretation"},
	{"TRANSPORT", "transport"}, {"CASH", "cash"}, {"OTHER", "other"})
CODES(urgencies, "urgencies", "Urgency", {"72H", "within 72 hours"}, {"7D", "within 7 days"},
	{"30D", "within 30 days"}, {"NONE", "not urgent"})
CODES(risks, "risks", "Level of risk", {"HIGH", "high"}, {"MEDIUM", "medium"}, {"LOW", "low"})
CODES(answers, "answers", "Answers to a referral", {"ACCEPTED", "accepted"},
	{"DECLINED", "declined"}, {"PARTIAL", "accepted in part"})
CODES(decline_reasons, "decline_reasons", "Why a referral was declined (S2)",
	{"NO_CAPACITY", "no capacity"}, {"NO_SERVICE", "does not offer the service"},
	{"NOT_ELIGIBLE", "not eligible"}, {"OUT_OF_AREA", "out of the area"},
	{"NO_FUNDS", "no funds"}, {"VICTIM_DECLINED", "the victim declined"},
	{"OTHER", "another reason"})
CODES(referral_ends, "referral_ends", "How a referral ended (S2)", {"DONE", "done"},
	{"REVOKED_BY_SENDER", "revoked by the sender"},
	{"WITHDRAWN_BY_VICTIM", "withdrawn by the victim"}, {"EXPIRED", "expired"},
	{"NO_SHOW", "the victim did not come"})
CODES(units, "units", "Units of assistance", {"SESSION", "session"}, {"VISIT", "visit"},
	{"NIGHT", "night"}, {"KIT", "kit"}, {"TRIP", "trip"}, {"MONTH", "month"}, {"ITEM", "item"},
	{"PAYMENT", "payment"}, {"OTHER", "other"})
CODES(funders, "funders", "Who paid", {"TRUST_FUND", "the trust fund"},
	{"MISSION", "the peace operation"}, {"AFP", "an agency, fund or programme"},
	{"NGO", "a non-governmental organisation"}, {"STATE", "the state"},
	{"OTHER", "somebody else"})
CODES(deciders, "deciders", "Who declined", {"VICTIM", "the victim"}, {"GUARDIAN", "the guardian"})
CODES(unmet_reasons, "unmet_reasons", "Why a need is unmet", {"NOT_AVAILABLE", "not available"},
	{"TOO_FAR", "too far away"}, {"UNSAFE", "unsafe"}, {"NO_FUNDS", "no funds"},
	{"WAITING_LIST", "waiting list"}, {"INELIGIBLE", "not eligible"},
	{"OTHER", "another reason"})
CODES(contact_channels, "contact_channels", "Channels of contact", {"IN_PERSON", "in person"},
	{"PHONE", "telephone"}, {"SMS", "text message"},
	{"VIA_FOCAL_POINT", "through a focal point"}, {"LETTER", "letter"})
CODES(directions, "directions", "Direction of a contact", {"OUT", "we got in touch"},
	{"IN", "the victim got in touch"})
CODES(contact_results, "contact_results", "Results of a contact", {"REACHED", "reached"},
	{"NOT_REACHED", "not reached"}, {"UNSAFE_ABORTED", "broken off: not safe"},
	{"DECLINED", "the victim did not wish to speak"})
CODES(topics, "topics", "What was told (I1)", {"CASE_STATUS", "how the case stands"},
	{"INVESTIGATION", "the investigation"}, {"OUTCOME", "an outcome"}, {"SERVICES", "services"},
	{"PATERNITY", "the paternity claim"}, {"PROTECTION", "protection"},
	{"COMPLAINT", "a complaint"}, {"CLOSURE", "the closing of the case"},
	{"NOTHING_NEW", "that there is nothing new"})
CODES(view_subjects, "view_subjects", "What a view is about", {"CASE", "the case"},
	{"INVESTIGATION", "the investigation"}, {"REMEDY", "a remedy"}, {"SERVICES", "services"},
	{"PUBLICITY", "publicity"})
CODES(involvement, "involvement", "Wished involvement (V1)", {"FULL", "in everything"},
	{"ASSISTANCE_ONLY", "assistance only"}, {"INFO_ONLY", "information only"},
	{"ANONYMOUS", "anonymous"}, {"PAUSED", "paused for now"}, {"NONE", "none"})
CODES(investigation_stages, "investigation_stages", "Stages of an investigation (N1)",
	{"RECEIVED", "received"}, {"PRELIM_ASSESSMENT", "preliminary assessment"},
	{"LIMITED_INFO_REVIEW", "review of limited information"},
	{"REFERRED_MEMBER_STATE", "referred to a Member State"},
	{"UNDER_INVESTIGATION", "under investigation"}, {"COMPLETED", "completed"},
	{"CLOSED_OTHER", "closed otherwise"})
CODES(investigators, "investigators", "Investigating entities (N2)", {"OIOS", "OIOS"},
	{"TCC", "troop-contributing country"}, {"PCC", "police-contributing country"},
	{"NIO", "national investigation officer"}, {"SIU", "special investigations unit"},
	{"MIL_POLICE", "military police"}, {"UNPOL", "UN police"}, {"ADHOC_PANEL", "ad hoc panel"},
	{"ENTITY_INVESTIGATION_OFFICE", "investigation office of the entity"},
	{"PARTNER", "partner"}, {"NATIONAL_AUTHORITY", "national authority"}, {"UNK", "unknown"})
CODES(outcomes, "outcomes",
	"Outcomes of an investigation (N3); unsubstantiated does not mean that it did not happen",
	{"PENDING", "pending"}, {"SUBSTANTIATED", "substantiated"},
	{"UNSUBSTANTIATED", "unsubstantiated, which does not mean that it did not happen"},
	{"CLOSED_OTHER", "closed otherwise"})
CODES(action_phases, "action_phases", "Phase of an action", {"INTERIM", "interim"},
	{"FINAL", "final"})
CODES(actions, "actions", "Actions taken (N4): the first four are interim",
	{"PAYMENT_SUSPENDED", "payment suspended"}, {"ADMIN_LEAVE", "administrative leave"},
	{"CONTAINED", "contained"}, {"UNIT_REPATRIATED", "unit repatriated"},
	{"REPATRIATED", "repatriated"}, {"BARRED", "barred"}, {"DISMISSED", "dismissed"},
	{"REPRIMAND", "reprimanded"}, {"CONTRACT_ENDED", "contract ended"},
	{"DISCIPLINE_NATIONAL", "national discipline"},
	{"CRIMINAL_REFERRED", "referred to criminal justice"}, {"CRIMINAL_CONVICTED", "convicted"},
	{"NONE", "none"})
CODES(action_takers, "action_takers", "Who took an action", {"UN", "the United Nations"},
	{"MEMBER_STATE", "the Member State"}, {"PARTNER", "the partner"})
CODES(accompaniments, "accompaniments", "Accompanied to",
	{"INVESTIGATION_INTERVIEW", "an interview of the investigation"}, {"COURT", "court"},
	{"MEDICAL", "a medical visit"}, {"POLICE", "the police"}, {"DNA", "a DNA sample"},
	{"OTHER", "something else"})
CODES(concerns, "concerns", "Kinds of protection concern (P1)", {"RETALIATION", "retaliation"},
	{"THREAT", "threat"}, {"STIGMA", "stigma"}, {"FAMILY_VIOLENCE", "violence in the family"},
	{"EVICTION", "eviction"}, {"DETENTION", "detention"}, {"TRAFFICKING", "trafficking"},
	{"SELF_HARM_RISK", "risk of self-harm"}, {"DATA_EXPOSURE", "data exposed"},
	{"MEDIA_EXPOSURE", "exposed in the media"}, {"OTHER", "other"})
CODES(concern_levels, "concern_levels", "Level of a protection concern", {"IMMINENT", "imminent"},
	{"HIGH", "high"}, {"MEDIUM", "medium"}, {"LOW", "low"})
CODES(concern_sources, "concern_sources", "Where a concern comes from", {"SUBJECT", "the subject"},
	{"COLLEAGUES", "the subject's colleagues"}, {"FAMILY", "the family"},
	{"COMMUNITY", "the community"}, {"OFFICIAL", "an official"}, {"MEDIA", "the media"},
	{"UNKNOWN", "unknown"})
CODES(measures, "measures", "Protection measures", {"SAFETY_PLAN", "safety plan"},
	{"RELOCATION", "relocation"}, {"SHELTER", "shelter"}, {"ESCORT", "escort"},
	{"COMMS_CHANGE", "another way of contact"}, {"AUTHORITY_NOTIFIED", "an authority was told"},
	{"MONITOR", "watching it"}, {"NONE_VICTIM_CHOICE", "none: the victim's choice"})
CODES(claim_kinds, "claim_kinds", "Kinds of claim", {"PATERNITY", "paternity"},
	{"CHILD_SUPPORT", "child support"}, {"BOTH", "both"})
CODES(claimants, "claimants", "Who claims", {"MOTHER", "the mother"}, {"GUARDIAN", "the guardian"},
	{"CHILD", "the child"})
CODES(paternity_stages, "paternity_stages", "Stages of a paternity claim (F1)",
	{"RECEIVED", "received"}, {"MS_NOTIFIED", "Member State notified"},
	{"FOCAL_POINT_NAMED", "national focal point named"}, {"SUBJECT_LOCATED", "subject located"},
	{"DNA_CONSENT", "consent to DNA"}, {"DNA_COLLECTED", "DNA collected"},
	{"DNA_SENT", "DNA sent"}, {"RESULT_POSITIVE", "result positive"},
	{"RESULT_NEGATIVE", "result negative"}, {"ADMITTED", "admitted"},
	{"LEGAL_RECOGNITION", "legally recognised"}, {"SUPPORT_ORDER", "support ordered"},
	{"SUPPORT_PAYING", "support is paid"}, {"CLOSED_RESOLVED", "closed: resolved"},
	{"CLOSED_NOT_FATHER", "closed: not the father"}, {"CLOSED_WITHDRAWN", "closed: withdrawn"},
	{"CLOSED_SUBJECT_DECEASED", "closed: subject deceased"},
	{"CLOSED_NO_RESPONSE", "closed: no response"})
CODES(support_kinds, "support_kinds", "Kinds of child-support event", {"ORDER", "order"},
	{"PAYMENT", "payment"}, {"ARREARS", "arrears"})
CODES(remedies, "remedies", "Remedies", {"COMPENSATION", "compensation"},
	{"RESTITUTION", "restitution"}, {"APOLOGY", "apology"},
	{"REHABILITATION", "rehabilitation"}, {"NON_REPETITION", "guarantee of non-repetition"},
	{"EX_GRATIA", "ex gratia payment"})
CODES(complaint_kinds, "complaint_kinds", "What a complaint is about (K1)",
	{"ATTITUDE", "attitude"}, {"DELAY", "delay"},
	{"BREACH_CONFIDENTIALITY", "breach of confidentiality"}, {"NO_UPDATE", "no update"},
	{"DISCRIMINATION", "discrimination"}, {"PRESSURE_TO_CONSENT", "pressure to consent"},
	{"QUALITY", "quality"}, {"REFUSED_SERVICE", "refused service"},
	{"RETALIATION_BY_STAFF", "retaliation by staff"}, {"OTHER", "other"})
CODES(complaint_stages, "complaint_stages", "Stages of a complaint",
	{"ACKNOWLEDGED", "acknowledged"}, {"UNDER_REVIEW", "under review"}, {"UPHELD", "upheld"},
	{"PARTLY_UPHELD", "partly upheld"}, {"NOT_UPHELD", "not upheld"},
	{"WITHDRAWN", "withdrawn"})
CODES(officer_roles, "officer_roles", "An officer's part in a case", {"LEAD", "leads the case"},
	{"BACKUP", "stands in"}, {"FOCAL_POINT", "focal point"})
CODES(transfer_reasons, "transfer_reasons", "Why a transfer", {"VICTIM_MOVED", "the victim moved"},
	{"OFFICE_CLOSING", "the office closes"}, {"CONFLICT_OF_INTEREST", "conflict of interest"},
	{"LANGUAGE", "language"}, {"REQUEST", "at request"})
CODES(transfer_answers, "transfer_answers", "Answers to a transfer", {"ACCEPTED", "accepted"},
	{"DECLINED", "declined"}, {"REVOKED", "revoked"})
CODES(closures, "closures", "Why a case is closed (X1)", {"NEEDS_MET", "needs met"},
	{"VICTIM_REQUEST", "at the victim's request"}, {"TRANSFERRED", "transferred"},
	{"LOST_CONTACT", "contact lost: three attempts or more, over 90 days"},
	{"RELOCATED", "relocated"}, {"DECEASED", "deceased"}, {"DUPLICATE", "duplicate"},
	{"OTHER", "another reason"})
CODES(reopenings, "reopenings", "Why a case is opened again", {"NEW_NEED", "a new need"},
	{"NEW_INFO", "new information"}, {"VICTIM_REQUEST", "at the victim's request"},
	{"ERROR", "closed by mistake"}, {"OTHER", "another reason"})
CODES(correction_reasons, "correction_reasons", "Why a correction", {"ERROR", "an error"},
	{"NEW_INFO", "new information"}, {"VICTIM_REQUEST", "at the victim's request"})
CODES(erasure_scopes, "erasure_scopes", "What is erased", {"FIELD_GROUP", "data groups"},
	{"EVENT", "an event"}, {"CASE", "the case"})
CODES(erasure_askers, "erasure_askers", "Who asked for an erasure", {"VICTIM", "the victim"},
	{"GUARDIAN", "the guardian"}, {"OFFICE", "the office"}, {"AUTHORITY", "an authority"})
CODES(erasure_bases, "erasure_bases", "Why an erasure", {"WITHDRAWN_CONSENT", "consent withdrawn"},
	{"RETENTION_END", "end of retention"}, {"UNLAWFUL", "should not have been recorded"},
	{"OBJECTION", "objection"})
CODES(erasure_decisions, "erasure_decisions", "Decision on an erasure", {"GRANTED", "granted"},
	{"REFUSED", "refused"}, {"PENDING", "pending"})
CODES(grant_bases, "grant_bases", "What a grant rests on", {"CONSENT", "a consent"},
	{"MANDATE", "a mandate"}, {"BREAK_GLASS", "an emergency"},
	{"REPLY", "the grant of the other keys of the case"},
	{"LEDGER", "the right of an auditor to the ledger"})
CODES(revocation_reasons, "revocation_reasons", "Why a grant was taken back",
	{"WITHDRAWN", "the consent was withdrawn, or covers it no longer"},
	{"ENDED", "its last day has passed"}, {"STOPPED", "the office stopped it"})
CODES(erasure_stages, "erasure_stages", "How far an erasure is", {"ORDERED", "ordered"},
	{"OBEYED", "obeyed"}, {"COMPLETE", "complete"})
CODES(export_formats, "export_formats", "Formats of an export", {"JSONL", "JSON lines"},
	{"CSV", "table"}, {"HANDOVER", "hand-over sheet"}, {"SHEET", "the victim's sheet"},
	{"PROOF", "proof of one entry"}, {"DISCLOSURE", "the ledger, to be checked"},
	{"PACKET", "packet for an organisation"})
CODES(opening_decisions, "opening_decisions", "What becomes of what was opened without consent",
	{"OPENED", "opened"}, {"APPROVED", "approved by a second officer"},
	{"REFUSED", "refused by a second officer"},
	{"WITHDRAWN", "withdrawn: nobody approved in time"},
	{"NOT_COUNTED", "a decision that does not count"}, {"TOLD", "the victim was told"})
CODES(guardian_reasons, "guardian_reasons", "Why a guardian changes",
	{"CONFLICT_OF_INTEREST", "conflict of interest"}, {"DEATH", "death"},
	{"REMOVED", "removed"}, {"REQUEST", "at request"})
CODES(packet_formats, "packet_formats", "Form of a packet", {"ENCRYPTED_FILE", "encrypted file"},
	{"PAPER", "paper"})
CODES(receipt_media, "receipt_media", "How a victim keeps a receipt",
	{"WORDS", "words that are learnt"}, {"PAPER", "paper"})

static const struct code_list *const lists[] = {
#define LIST(symbol) &list_##symbol,
	CODE_LISTS(LIST)
#undef LIST
};

static const struct code four_answers[] = {
	{"0", "not asked"},
	{"97", "not applicable"},
	{"98", "declined to say"},
	{"99", "unknown"},
};

/* clang-format on */

const struct code_list *code_list_at(size_t i)
{
	return i < sizeof lists / sizeof lists[0] ? lists[i] : NULL;
}

const struct code_list *code_list_find(struct bytes name)
{
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (bytes_equal_str(name, lists[i]->name))
			return lists[i];
	return NULL;
}

const struct code *code_find(const struct code_list *list, struct bytes name)
{
	for (size_t i = 0; i < list->count; i++)
		if (bytes_equal_str(name, list->codes[i].name))
			return &list->codes[i];
	return NULL;
}

static uint8_t folded(uint8_t c)
{
	if (c == ' ' || c == '-')
		return '_';
	return c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
}

/* The first bytes of the name are the text, as people type it. */
static bool begins_with(const char *name, struct bytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if (name[i] == 0 || folded((uint8_t)name[i]) != folded(text.data[i]))
			return false;
	return true;
}

const struct code *code_guess(const struct code_list *list, struct bytes text)
{
	const struct code *found = NULL;
	size_t fits = 0;

	if (text.size == 0)
		return NULL;
	for (size_t i = 0; i < list->count; i++) {
		const struct code *code = &list->codes[i];

		if (!begins_with(code->name, text) && !begins_with(code->text, text))
			continue;
		if (strlen(code->name) == text.size && begins_with(code->name, text))
			return code;
		found = code;
		fits++;
	}
	return fits == 1 ? found : NULL;
}

const struct code *answer_at(size_t n, unsigned *ret_bit)
{
	if (n >= sizeof four_answers / sizeof four_answers[0])
		return NULL;
	*ret_bit = 1u << n;
	return &four_answers[n];
}

unsigned answer_find(struct bytes text)
{
	for (size_t i = 0; i < sizeof four_answers / sizeof four_answers[0]; i++)
		if (bytes_equal_str(text, four_answers[i].name))
			return 1u << i;
	return 0;
}
