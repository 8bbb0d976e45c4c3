/* clang-format would break the texts over lines: a sentence is read whole. */
#include "cases/view/catalogue.h"

static const char *const key_names[] = {
#define X(symbol, name) [CATALOGUE_##symbol] = name,
	CATALOGUE_KEYS(X)
#undef X
};

#define OURS "Sauti's authors"
#define LATIN_DIGITS                                                                               \
	{                                                                                          \
		"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"                                   \
	}
#define WORDS(list) .forbidden = list, .forbidden_count = sizeof(list) / sizeof(list[0])

/* clang-format off */

static const char *const forbidden_en[] = {
	"abus", "aggress", "allegation", "assault", "attack", "case", "exploit", "harass", "incident",
	"investigat", "mission", "offender", "office", "paternity", "peacekeep", "perpetrat", "police",
	"programme", "project", "rape", "sex", "soldier", "survivor", "suspect", "united nations",
	"victim", "violen", "MINUSCA", "MINUSTAH", "MONUSCO", "NGO", "OIOS", "SEA", "UN", "UNMISS",
};
static const char *const forbidden_fr[] = {
	"abus", "agress", "allégation", "bureau", "casque", "dossier", "enquêt", "exploit", "harcel",
	"harcèl", "incident", "mission", "nations unies", "paternité", "police", "programme", "projet",
	"sexe", "sexuel", "soldat", "suspect", "survivant", "victime", "viol", "EAS", "ONG", "ONU",
};
static const char *const forbidden_es[] = {
	"abus", "acos", "agres", "alegación", "caso", "denuncia", "explota", "incidente", "investiga",
	"misión", "naciones unidas", "oficina", "paternidad", "policía", "programa", "proyecto", "sexo",
	"sexual", "sobreviviente", "soldado", "sospech", "víctima", "viola", "violencia", "ONG", "ONU",
};
static const char *const forbidden_ar[] = {
	"إساءة", "استغلال", "اغتصاب", "اعتداء", "الأمم", "الاستغلال", "الاعتداء", "الجنسي", "الحالة",
	"الضحية", "العنف", "القضية", "المكتب", "برنامج", "بعثة", "تحرش", "تحقيق", "جندي", "جنسي", "حادث",
	"شرطة", "ضحية", "عنف", "قضية", "مشروع", "مكتب", "ملف", "ناجية", "نسب",
};
static const char *const forbidden_ht[] = {
	"abi", "agresyon", "anketè", "ankèt", "biwo", "dosye", "eksplwat", "enstans", "ensidan", "ka a",
	"kadejak", "lapolis", "misyon", "nasyonzini", "paternite", "pwogram", "pwojè", "sèks", "seksyèl",
	"sispèk", "sòlda", "sivivan", "viktim", "vyol", "ONG", "ONU",
};

static const struct catalogue_language languages[] = {
	{
		.tag = "en", .name = "English", .translator = OURS, .digits = LATIN_DIGITS,
		WORDS(forbidden_en),
		.months = {"January", "February", "March", "April", "May", "June", "July", "August",
			"September", "October", "November", "December"},
		.texts = {
			[CATALOGUE_TITLE] = "Your rights",
			[CATALOGUE_INTRO] = "These rights are yours. You do not have to do anything to keep them.",
			[CATALOGUE_RIGHT_1] = "Everyone must treat you with respect, whoever you are.",
			[CATALOGUE_RIGHT_2] = "You can ask for help and support. You can also say no.",
			[CATALOGUE_RIGHT_3] = "You can ask for justice. Whoever does wrong must answer for it.",
			[CATALOGUE_RIGHT_4] = "You decide how much you take part. You can change your mind at any time.",
			[CATALOGUE_RIGHT_5] = "You can ask what is being done. You must get an answer in clear words.",
			[CATALOGUE_RIGHT_6] = "You can speak in your own language. You must be listened to.",
			[CATALOGUE_RIGHT_7] = "What you say stays private. You decide who may know it.",
			[CATALOGUE_RIGHT_8] = "Your safety comes first. Say so if you are afraid.",
			[CATALOGUE_RIGHT_9] = "You can ask that what you lost be made good.",
			[CATALOGUE_RIGHT_10] = "You can complain if you are not treated well. Nobody may punish you for it.",
			[CATALOGUE_NEXT] = "The next date: {date}.",
			[CATALOGUE_CONTACT] = "For your questions:",
			[CATALOGUE_CLOSING] = "You can ask to have this page read to you again. You do not have to keep it.",
			[CATALOGUE_DATE] = "{day} {month} {year}",
			[CATALOGUE_FIRST_DAY] = "1",
		},
	},
	{
		.tag = "fr", .name = "French", .translator = OURS, .digits = LATIN_DIGITS,
		WORDS(forbidden_fr),
		.months = {"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août",
			"septembre", "octobre", "novembre", "décembre"},
		.texts = {
			[CATALOGUE_TITLE] = "Vos droits",
			[CATALOGUE_INTRO] = "Ces droits sont les vôtres. Vous n'avez rien à faire pour les garder.",
			[CATALOGUE_RIGHT_1] = "Chacun doit vous traiter avec respect, qui que vous soyez.",
			[CATALOGUE_RIGHT_2] = "Vous pouvez demander de l'aide et du soutien. Vous pouvez aussi dire non.",
			[CATALOGUE_RIGHT_3] = "Vous pouvez demander justice. Celui qui fait du mal doit en répondre.",
			[CATALOGUE_RIGHT_4] = "C'est vous qui décidez jusqu'où vous participez. Vous pouvez changer d'avis à tout moment.",
			[CATALOGUE_RIGHT_5] = "Vous pouvez demander où en sont les choses. On doit vous répondre avec des mots clairs.",
			[CATALOGUE_RIGHT_6] = "Vous pouvez parler dans votre langue. On doit vous écouter.",
			[CATALOGUE_RIGHT_7] = "Ce que vous dites reste privé. C'est vous qui décidez qui peut le savoir.",
			[CATALOGUE_RIGHT_8] = "Votre sécurité passe avant tout. Dites-le si vous avez peur.",
			[CATALOGUE_RIGHT_9] = "Vous pouvez demander réparation pour ce que vous avez perdu.",
			[CATALOGUE_RIGHT_10] = "Vous pouvez vous plaindre si l'on vous traite mal. Personne n'a le droit de vous punir pour cela.",
			[CATALOGUE_NEXT] = "La prochaine date : {date}.",
			[CATALOGUE_CONTACT] = "Pour vos questions :",
			[CATALOGUE_CLOSING] = "Vous pouvez demander qu'on vous relise cette page. Rien ne vous oblige à la garder.",
			[CATALOGUE_DATE] = "{day} {month} {year}",
			[CATALOGUE_FIRST_DAY] = "1er",
		},
	},
	{
		.tag = "es", .name = "Spanish", .translator = OURS, .digits = LATIN_DIGITS,
		WORDS(forbidden_es),
		.months = {"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto",
			"septiembre", "octubre", "noviembre", "diciembre"},
		.texts = {
			[CATALOGUE_TITLE] = "Sus derechos",
			[CATALOGUE_INTRO] = "Estos derechos son suyos. No tiene que hacer nada para conservarlos.",
			[CATALOGUE_RIGHT_1] = "Todos deben tratarle con respeto, sea usted quien sea.",
			[CATALOGUE_RIGHT_2] = "Puede pedir ayuda y apoyo. También puede decir que no.",
			[CATALOGUE_RIGHT_3] = "Puede pedir justicia. Quien hace daño debe responder por ello.",
			[CATALOGUE_RIGHT_4] = "Usted decide cuánto quiere participar. Puede cambiar de idea en cualquier momento.",
			[CATALOGUE_RIGHT_5] = "Puede preguntar qué se está haciendo. Deben responderle con palabras claras.",
			[CATALOGUE_RIGHT_6] = "Puede hablar en su propia lengua. Deben escucharle.",
			[CATALOGUE_RIGHT_7] = "Lo que usted dice es privado. Usted decide quién puede saberlo.",
			[CATALOGUE_RIGHT_8] = "Su seguridad es lo primero. Dígalo si tiene miedo.",
			[CATALOGUE_RIGHT_9] = "Puede pedir que se repare lo que ha perdido.",
			[CATALOGUE_RIGHT_10] = "Puede quejarse si no le tratan bien. Nadie puede castigarle por eso.",
			[CATALOGUE_NEXT] = "La próxima fecha: {date}.",
			[CATALOGUE_CONTACT] = "Para sus preguntas:",
			[CATALOGUE_CLOSING] = "Puede pedir que le lean esta hoja otra vez. No tiene que guardarla.",
			[CATALOGUE_DATE] = "{day} de {month} de {year}",
			[CATALOGUE_FIRST_DAY] = "1",
		},
	},
	{
		/* Written so that no word takes a side: what is addressed to a woman and to a man is spelled
		 * alike. */
		.tag = "ar", .name = "Arabic", .translator = OURS, .right_to_left = true,
		WORDS(forbidden_ar),
		.digits = {"٠", "١", "٢", "٣", "٤", "٥", "٦", "٧", "٨", "٩"},
		.months = {"يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو", "يوليو", "أغسطس", "سبتمبر",
			"أكتوبر", "نوفمبر", "ديسمبر"},
		.texts = {
			[CATALOGUE_TITLE] = "حقوقك",
			[CATALOGUE_INTRO] = "هذه الحقوق لك. ولا يلزمك شيء للاحتفاظ بها.",
			[CATALOGUE_RIGHT_1] = "من حقك أن يعاملك الجميع باحترام.",
			[CATALOGUE_RIGHT_2] = "من حقك طلب المساعدة والدعم. ومن حقك رفضهما.",
			[CATALOGUE_RIGHT_3] = "من حقك طلب العدالة. ومن يفعل الخطأ يُحاسَب عليه.",
			[CATALOGUE_RIGHT_4] = "القرار لك في مقدار مشاركتك. ومن حقك تغيير رأيك في أي وقت.",
			[CATALOGUE_RIGHT_5] = "من حقك معرفة ما يجري. ومن حقك جواب بكلام واضح.",
			[CATALOGUE_RIGHT_6] = "من حقك الكلام بلغتك. ويجب الاستماع إليك.",
			[CATALOGUE_RIGHT_7] = "كلامك يبقى سرًا. والقرار لك في من يعرفه.",
			[CATALOGUE_RIGHT_8] = "سلامتك أولًا. ومن حقك طلب الحماية عند الخوف.",
			[CATALOGUE_RIGHT_9] = "من حقك طلب التعويض عما ضاع منك.",
			[CATALOGUE_RIGHT_10] = "من حقك الشكوى من سوء المعاملة. ولا يجوز لأحد معاقبتك على ذلك.",
			[CATALOGUE_NEXT] = "الموعد القادم: {date}.",
			[CATALOGUE_CONTACT] = "للأسئلة:",
			[CATALOGUE_CLOSING] = "من حقك طلب قراءة هذه الورقة مرة أخرى. ولا يلزمك الاحتفاظ بها.",
			[CATALOGUE_DATE] = "{day} {month} {year}",
			[CATALOGUE_FIRST_DAY] = "١",
		},
	},
	{
		.tag = "ht", .name = "Haitian Creole", .translator = OURS, .digits = LATIN_DIGITS,
		WORDS(forbidden_ht),
		.months = {"janvye", "fevriye", "mas", "avril", "me", "jen", "jiyè", "out", "septanm",
			"oktòb", "novanm", "desanm"},
		.texts = {
			[CATALOGUE_TITLE] = "Dwa ou yo",
			[CATALOGUE_INTRO] = "Dwa sa yo se pou ou. Ou pa bezwen fè anyen pou ou kenbe yo.",
			[CATALOGUE_RIGHT_1] = "Tout moun dwe respekte ou, kèlkeswa moun ou ye.",
			[CATALOGUE_RIGHT_2] = "Ou ka mande èd ak sipò. Ou ka di non tou.",
			[CATALOGUE_RIGHT_3] = "Ou ka mande jistis. Moun ki fè mal dwe reponn pou sa.",
			[CATALOGUE_RIGHT_4] = "Se ou ki deside ki kantite ou vle patisipe. Ou ka chanje lide nenpòt lè.",
			[CATALOGUE_RIGHT_5] = "Ou ka mande sa k ap fèt. Yo dwe reponn ou ak mo ki klè.",
			[CATALOGUE_RIGHT_6] = "Ou ka pale nan lang ou. Yo dwe koute ou.",
			[CATALOGUE_RIGHT_7] = "Sa ou di rete prive. Se ou ki deside ki moun ki ka konnen li.",
			[CATALOGUE_RIGHT_8] = "Sekirite ou pase anvan tout bagay. Di sa si ou pè.",
			[CATALOGUE_RIGHT_9] = "Ou ka mande reparasyon pou sa ou pèdi.",
			[CATALOGUE_RIGHT_10] = "Ou ka plenyen si yo pa trete ou byen. Pèsonn pa gen dwa pini ou pou sa.",
			[CATALOGUE_NEXT] = "Pwochen dat la: {date}.",
			[CATALOGUE_CONTACT] = "Si ou gen kesyon:",
			[CATALOGUE_CLOSING] = "Ou ka mande yo li fèy sa a pou ou ankò. Ou pa oblije kenbe li.",
			[CATALOGUE_DATE] = "{day} {month} {year}",
			[CATALOGUE_FIRST_DAY] = "1ye",
		},
	},
};

/* clang-format on */

enum { LANGUAGE_COUNT = sizeof(languages) / sizeof(languages[0]) };

const char *catalogue_key_name(enum catalogue_key key)
{
	return key_names[key];
}

const struct catalogue_language *catalogue_at(size_t i)
{
	return i < LANGUAGE_COUNT ? &languages[i] : NULL;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

const struct catalogue_language *catalogue_find(struct bytes tag)
{
	const uint8_t *hyphen = tag.size == 0 ? NULL : memchr(tag.data, '-', tag.size);
	size_t size = hyphen == NULL ? tag.size : (size_t)(hyphen - tag.data);

	for (size_t i = 0; i < LANGUAGE_COUNT; i++) {
		const char *own = languages[i].tag;

		if (size == 2 && lower(tag.data[0]) == (uint8_t)own[0] &&
			lower(tag.data[1]) == (uint8_t)own[1])
			return &languages[i];
	}
	return NULL;
}

/* ---- what must not stand on a sheet ---- */

static bool in_word(uint8_t c)
{
	return c >= 0x80 || (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
}

static bool stands_at(const char *word, struct bytes text, size_t at)
{
	size_t size = strlen(word);
	bool capitals = word[0] >= 'A' && word[0] <= 'Z';

	if (text.size - at < size || (at > 0 && in_word(text.data[at - 1])))
		return false;
	for (size_t i = 0; i < size; i++) {
		uint8_t c = text.data[at + i];

		if ((capitals ? c : lower(c)) != (uint8_t)word[i])
			return false;
	}
	return !capitals || at + size == text.size || !in_word(text.data[at + size]);
}

static const char *find_word(const struct catalogue_language *language, struct bytes text)
{
	for (size_t i = 0; i < language->forbidden_count; i++)
		for (size_t at = 0; at < text.size; at++)
			if (stands_at(language->forbidden[i], text, at))
				return language->forbidden[i];
	return NULL;
}

const char *catalogue_forbidden(const struct catalogue_language *language, struct bytes text)
{
	const char *word = find_word(language, text);

	return word != NULL ? word : find_word(&languages[0], text);
}
