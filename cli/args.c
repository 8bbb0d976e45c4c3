#include "cli/args.h"

#include <string.h>

static const struct cli_command *const tables[] = {init_commands, join_commands, lock_commands,
	status_commands, check_commands, officer_commands, recover_commands, receipt_commands,
	node_commands, case_commands, log_commands, backup_commands, bundle_commands, mail_commands,
	ledger_commands, audit_commands, packet_commands, approvals_commands};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

static const struct cli_option global_options[] = {
	{"dir", "DIR", "the node's directory (default: $SAUTI_DIR, else /var/lib/sauti)", false},
	{"config", "FILE", "its configuration (default: DIR/sauti.conf)", false},
	{"json", NULL, "print JSON: data on stdout, messages on stderr", false},
	{"help", NULL, "print help and exit", false},
	{"version", NULL, "print the version and exit", false},
	{0},
};

const char *args_at(const struct cli_args *args, size_t n)
{
	return n < args->count ? args->positional[n] : NULL;
}

const char *args_option_at(const struct cli_args *args, const char *name, size_t n)
{
	for (size_t i = 0; i < args->option_count; i++) {
		if (strcmp(args->options[i].name, name) == 0 && n-- == 0)
			return args->options[i].value;
	}
	return NULL;
}

const char *args_option(const struct cli_args *args, const char *name)
{
	return args_option_at(args, name, 0);
}

bool args_flag(const struct cli_args *args, const char *name)
{
	return args_option(args, name) != NULL;
}

static const struct cli_option *find_option(
	const struct cli_option *options, const char *name, size_t size)
{
	for (; options != NULL && options->name != NULL; options++) {
		if (strlen(options->name) == size && memcmp(options->name, name, size) == 0)
			return options;
	}
	return NULL;
}

static bool noun_exists(const char *noun)
{
	for (size_t t = 0; t < TABLES; t++) {
		for (const struct cli_command *c = tables[t]; c->noun != NULL; c++) {
			if (strcmp(c->noun, noun) == 0)
				return true;
		}
	}
	return false;
}

static const struct cli_command *find_command(const char *noun, const char *verb)
{
	for (size_t t = 0; t < TABLES; t++) {
		for (const struct cli_command *c = tables[t]; c->noun != NULL; c++) {
			if (strcmp(c->noun, noun) != 0)
				continue;
			if (c->verb == NULL || (verb != NULL && strcmp(c->verb, verb) == 0))
				return c;
		}
	}
	return NULL;
}

static const struct cli_extra *find_extra(const struct cli_command *command)
{
	for (const struct cli_extra *e = cli_extras; e->noun != NULL && command != NULL; e++)
		if (strcmp(e->noun, command->noun) == 0 && command->verb != NULL &&
			strcmp(e->verb, command->verb) == 0)
			return e;
	return NULL;
}

/* First pass: which words are the noun and the verb? Options that take a value hide the next word,
 * so every table is asked: no name has a value in one command and none in another. */
static bool takes_value(const char *name, size_t size)
{
	const struct cli_option *option = find_option(global_options, name, size);

	for (size_t t = 0; t < TABLES && option == NULL; t++) {
		for (const struct cli_command *c = tables[t]; c->noun != NULL && option == NULL;
			c++)
			option = find_option(c->options, name, size);
	}
	for (const struct cli_extra *e = cli_extras; e->noun != NULL && option == NULL; e++)
		option = e->option(name, size);
	return option != NULL && option->value != NULL;
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

/* "-h" is the one short option. */
static const char *option_name(const char *word, size_t *ret_size)
{
	if (strcmp(word, "-h") == 0)
		word = "--help";
	if (strncmp(word, "--", 2) != 0)
		return NULL;
	*ret_size = strcspn(word + 2, "=");
	return word + 2;
}

static void find_words(
	int argc, char **argv, const char **ret_noun, const char **ret_verb, struct cli *cli)
{
	const char *words[2] = {NULL, NULL};
	size_t found = 0;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		size_t size;
		const char *name;

		if (!is_option(argv[i])) {
			if (found < 2)
				words[found++] = argv[i];
			continue;
		}
		/* Errors of the second pass must already be in the form that was asked for. */
		if (strcmp(argv[i], "--json") == 0)
			cli->json = true;
		name = option_name(argv[i], &size);
		if (name != NULL && name[size] != '=' && takes_value(name, size))
			i++;
	}
	*ret_noun = words[0];
	*ret_verb = words[1];
}

static void set_global(
	struct cli *cli, struct cli_args *args, const struct cli_option *option, const char *value)
{
	if (strcmp(option->name, "dir") == 0)
		cli->dir = value;
	else if (strcmp(option->name, "config") == 0)
		cli->config_file = value;
	else if (strcmp(option->name, "help") == 0)
		args->help = true;
	else if (strcmp(option->name, "version") == 0)
		args->version = true;
}

static enum err take_option(
	struct cli *cli, int argc, char **argv, int *i, struct cli_args *args, struct errctx *ctx)
{
	const struct cli_option *option = NULL;
	const char *value = "", *name;
	bool global = true;
	size_t size = 0;

	name = option_name(argv[*i], &size);
	if (name != NULL) {
		option = find_option(global_options, name, size);
		global = option != NULL;
		if (!global && args->command != NULL)
			option = find_option(args->command->options, name, size);
		if (option == NULL && find_extra(args->command) != NULL)
			option = find_extra(args->command)->option(name, size);
	}
	if (option == NULL)
		return cli_usage(cli, ctx, "unknown option '%.60s'", argv[*i]);
	if (option->value != NULL && name[size] == '=')
		value = name + size + 1;
	else if (option->value != NULL && *i + 1 < argc)
		value = argv[++*i];
	else if (option->value != NULL)
		return cli_usage(cli, ctx, "--%s needs %s", option->name, option->value);
	else if (name[size] == '=')
		return cli_usage(cli, ctx, "--%s takes no value", option->name);
	if (global) {
		set_global(cli, args, option, value);
		return OK;
	}
	if (!option->repeat && args_option(args, option->name) != NULL)
		return cli_usage(cli, ctx, "--%s is given twice", option->name);
	if (args->option_count == ARGS_MAX)
		return cli_usage(cli, ctx, "more than %d options", ARGS_MAX);
	args->options[args->option_count].name = option->name;
	args->options[args->option_count++].value = value;
	return OK;
}

static enum err take_words(
	struct cli *cli, int argc, char **argv, struct cli_args *args, struct errctx *ctx)
{
	size_t skip = args->command == NULL ? 0 : args->command->verb == NULL ? 1 : 2;
	bool options = true;

	for (int i = 1; i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && is_option(argv[i])) {
			TRY(take_option(cli, argc, argv, &i, args, ctx));
		} else if (skip > 0) {
			skip--;
		} else if (args->count == ARGS_MAX) {
			return cli_usage(cli, ctx, "more than %d arguments", ARGS_MAX);
		} else {
			args->positional[args->count++] = argv[i];
		}
	}
	return OK;
}

enum err args_parse(
	struct cli *cli, int argc, char **argv, struct cli_args *ret, struct errctx *ctx)
{
	const char *noun, *verb;

	find_words(argc, argv, &noun, &verb, cli);
	ret->noun = noun;
	if (noun != NULL)
		ret->command = find_command(noun, verb);
	TRY(take_words(cli, argc, argv, ret, ctx));
	if (ret->help || ret->version)
		return noun == NULL || noun_exists(noun)
			       ? OK
			       : cli_usage(cli, ctx, "unknown command '%.60s'", noun);
	if (noun == NULL)
		return cli_usage(cli, ctx, "no command");
	if (!noun_exists(noun))
		return cli_usage(cli, ctx, "unknown command '%.60s'", noun);
	if (ret->command == NULL && verb == NULL)
		return cli_usage(cli, ctx, "'%s' what?", noun);
	if (ret->command == NULL)
		return cli_usage(cli, ctx, "unknown command '%s %.60s'", noun, verb);
	if (ret->count < ret->command->count_min)
		return cli_usage(cli, ctx, "too few arguments");
	if (ret->count > ret->command->count_max)
		return cli_usage(cli, ctx, "too many arguments: '%.60s'",
			ret->positional[ret->command->count_max]);
	return OK;
}

static void print_synopsis(FILE *file, const struct cli_command *c)
{
	fprintf(file, "sauti %s%s%s%s%s%s", c->noun, c->verb == NULL ? "" : " ",
		c->verb == NULL ? "" : c->verb, c->options == NULL ? "" : " [OPTION]..",
		c->arguments[0] == '\0' ? "" : " ", c->arguments);
}

static void print_options(FILE *file, const struct cli_option *options)
{
	for (; options != NULL && options->name != NULL; options++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", options->name,
			options->value == NULL ? "" : " ",
			options->value == NULL ? "" : options->value);
		fprintf(file, "  %-26s %s%s\n", left, options->help,
			options->repeat ? " (may be repeated)" : "");
	}
}

static void help_command(FILE *file, const struct cli_args *args)
{
	const struct cli_command *command = args->command;

	fputs("usage: ", file);
	print_synopsis(file, command);
	fprintf(file, "\n\n%s\n", command->summary);
	if (command->details != NULL)
		fprintf(file, "\n%s\n", command->details);
	if (command->options != NULL) {
		fputs("\nOptions:\n", file);
		print_options(file, command->options);
	}
	if (find_extra(command) != NULL && find_extra(command)->help != NULL)
		find_extra(command)->help(file, args);
}

static void help_table(FILE *file, const char *noun)
{
	for (size_t t = 0; t < TABLES; t++) {
		for (const struct cli_command *c = tables[t]; c->noun != NULL; c++) {
			char left[128];

			if (noun != NULL && strcmp(noun, c->noun) != 0)
				continue;
			snprintf(left, sizeof(left), "%s%s%s%s%s", c->noun,
				c->verb == NULL ? "" : " ", c->verb == NULL ? "" : c->verb,
				c->arguments[0] == '\0' ? "" : " ", c->arguments);
			fprintf(file, "  %-26s %s\n", left, c->summary);
		}
	}
}

void args_help(FILE *file, const struct cli_args *args)
{
	if (args->command != NULL) {
		help_command(file, args);
	} else {
		fputs("usage: sauti [OPTION].. NOUN [VERB] [ARGUMENT]..\n\nCommands:\n", file);
		help_table(file, args->noun);
	}
	fputs("\nOptions of every command:\n", file);
	print_options(file, global_options);
	fputs("\nExit codes: 0 ok, 1 failed, 2 usage, 3 node not reachable, 4 integrity violation\n"
	      "found, 5 locked or not permitted. More in sauti(1).\n",
		file);
}
