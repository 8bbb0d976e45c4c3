/*
 * Who accuses whom: an honest node is never accused by another honest node, raises no alarm, and is
 * not given up as a silent provider while what it says arrives.
 */
#include "tests/sim/check.h"

/* The peer that a notice names: the first word in quotes behind `before`. */
static struct node *accused(struct world *world, const char *text, const char *before)
{
	const char *at = strstr(text, before);
	char name[LIMIT_NODE_NAME + 1];
	size_t size;

	if (at == NULL)
		return NULL;
	at += strlen(before);
	size = strcspn(at, "'");
	snprintf(name, sizeof(name), "%.*s", (int)size, at);
	return check_node_named(world, name);
}

static bool is_honest(const struct world *world, const struct node *node)
{
	return node != world->hostile;
}

/* It shows one of two histories of its own log, or its twin does. */
static bool of_its_own_log(struct world *world, const struct node *peer, const char *text)
{
	const struct truth *truth = truth_find(world, peer->keys.origin.text);

	return truth != NULL && truth->forked && strstr(text, truth->origin.text) != NULL;
}

/* An alarm names the log that two histories were seen of, and it is one of which there are two. */
static bool alarm_is_due(const struct world *world, const char *text)
{
	const struct truths *truths = &world->check->truths;

	for (size_t i = 0; i < truths->count; i++)
		if (truths->list[i]->forked && strstr(text, truths->list[i]->origin.text) != NULL)
			return true;
	return false;
}

static void warning(struct world *world, const struct node *node, const char *text)
{
	static const char *const nobodys_fault[] = {"no Hello", "silent for",
		"not an active member", "does not take mail", "does not list it as active",
		"lists it with other keys", "cannot store entries"};
	const struct node *peer = accused(world, text, "session with '");

	const struct node *mirror = accused(world, text, "cosigned by '");

	/* An honest mirror may have met the other history first. */
	if (mirror != NULL && (!is_honest(world, mirror) || alarm_is_due(world, text)))
		return;
	if (strstr(text, "says bye") != NULL ||
		(peer != NULL && (!is_honest(world, peer) || of_its_own_log(world, peer, text))))
		return;
	for (size_t i = 0; i < sizeof(nobodys_fault) / sizeof(*nobodys_fault); i++)
		if (strstr(text, nobodys_fault[i]) != NULL)
			return;
	/* A forged first batch is no proof against who sent it: no name stands here. */
	if (peer == NULL && world->hostile != NULL && strstr(text, "is not accepted") != NULL)
		return;
	world_fail(world, "%s accuses an honest node: %s", node->name, text);
}

void blame_notice(struct world *world, struct node *node, const struct effect *effect)
{
	const struct node *peer;

	if (effect->notice == NOTICE_ALARM && !alarm_is_due(world, effect->text))
		world_fail(world, "%s raises an alarm among honest nodes: %s", node->name,
			effect->text);
	if (world->counts.corrupted > 0 || !is_honest(world, node))
		return;
	if (effect->notice == NOTICE_WARNING)
		warning(world, node, effect->text);
	if (strstr(effect->text, "sends nothing") == NULL || world->shape.slow ||
		world->shape.rates)
		return; /* on a slow line a long queue may take its minute */
	peer = accused(world, effect->text, "': '");
	if (peer != NULL && is_honest(world, peer) && links_carry(world, node, peer->name))
		world_fail(world, "%s gives up a provider that it hears: %s", node->name,
			effect->text);
}
