#include "node_test.h"

#include "node/config.h"

static enum err parse(const char *text, struct node_config *config, struct errctx *ctx)
{
	ctx->text[0] = '\0';
	return config_parse(bytes_str(text), "/srv/sauti/sauti.conf", config, ctx);
}

static void test_defaults(void **state)
{
	struct node_config config;
	struct node_paths paths;
	struct errctx ctx;

	(void)state;
	assert_ok(parse("[node]\nname = haiti\n", &config, &ctx));
	assert_string_equal(config.name, "haiti");
	assert_string_equal(config.network, "");
	assert_string_equal(config.directory, "/srv/sauti");
	assert_string_equal(config.socket, "/srv/sauti/run/control.sock");
	assert_string_equal(config.public_socket, "/srv/sauti/run/public.sock");
	assert_string_equal(config.public_group, "");
	assert_int_equal(config.public_logs, PUBLIC_LOGS_ALL);
	assert_string_equal(config.listen, CONFIG_LISTEN_DEFAULT);
	assert_string_equal(config.alpn[0], "sauti/1");
	assert_string_equal(config.alpn[1], "");
	assert_true(config.compression);
	assert_int_equal(config.map_size, 0);
	assert_int_equal(config.reserve, CONFIG_RESERVE_DEFAULT);
	assert_int_equal(config.daily_bytes, CONFIG_DAILY_DEFAULT);
	assert_int_equal(config.idle_s, 1800);
	assert_false(config.swap_allowed);
	assert_string_equal(config.safe_policy, "");
	assert_int_equal(config.peer_count, 0);
	assert_int_equal(config.timing.dial_max, 0);
	assert_ok(config_paths(&config, &paths, &ctx));
	assert_string_equal(paths.boot, "/srv/sauti/keys/boot");
	assert_string_equal(paths.keystore, "/srv/sauti/keys/keystore");
	assert_string_equal(paths.chain, "/srv/sauti/certs/node.pem");
	assert_string_equal(paths.root, "/srv/sauti/certs/root.pem");
	assert_string_equal(paths.genesis, "/srv/sauti/genesis");
	assert_string_equal(paths.store, "/srv/sauti/store");
	assert_string_equal(paths.keyring, "/srv/sauti/keyring");
	assert_string_equal(paths.config, "/srv/sauti/sauti.conf");
	config_release(&config);
}

static const char everything[] =
	"[node]\nname = haiti\nnetwork = ovra.example\ndirectory = data\n"
	"advertise = 192.0.2.1:7483,[2001:db8::1]:443\n"
	"[listen]\naddress = [::1]:0\nalpn = office/2, sauti/1\n"
	"[control]\nsocket = s.sock\n"
	"[public]\nsocket = run/p.sock\ngroup = sauti-web\nlogs = directory\n"
	"[seal]\ncompression = off\n"
	"[store]\nmap_size = 1MiB\nreserve = 1536KiB\ndaily_quota = 3MiB\n"
	"[lock]\nidle = 90 min\nunencrypted_swap = allow\n"
	"[safe]\npolicy = who.policy\n"
	"[peer hq]\naddress = 192.0.2.1:7483\n"
	"[peer auditor]\n"
	"[replication]\ndial_retry_min = 50ms\ndial_retry_max = 5m\nhave_delay = 20ms\n"
	"cosignature_delay = 90s\nfetch_timeout = 1s\nhello_timeout = 10s\nidle_ping = 1s\n"
	"idle_close = 3s\n";

#define FOUR  "[::1]:1, 192.0.2.1:1, 192.0.2.1:2, [::1]:2"
#define EIGHT FOUR ", " FOUR

static void check_everything(const struct node_config *config)
{
	assert_string_equal(config->network, "ovra.example");
	assert_string_equal(config->directory, "/srv/sauti/data");
	assert_string_equal(config->socket, "/srv/sauti/data/s.sock");
	assert_string_equal(config->public_socket, "/srv/sauti/data/run/p.sock");
	assert_string_equal(config->public_group, "sauti-web");
	assert_int_equal(config->public_logs, PUBLIC_LOGS_DIRECTORY);
	assert_string_equal(config->listen, "[::1]:0");
	assert_string_equal(config->advertise[0], "192.0.2.1:7483");
	assert_string_equal(config->advertise[1], "[2001:db8::1]:443");
	assert_string_equal(config->advertise[2], "");
	assert_string_equal(config->alpn[0], "office/2");
	assert_string_equal(config->alpn[1], "sauti/1");
	assert_string_equal(config->alpn[2], "");
	assert_false(config->compression);
	assert_int_equal(config->map_size, 1 << 20);
	assert_int_equal(config->reserve, 1536 << 10);
	assert_int_equal(config->daily_bytes, 3 << 20);
	assert_int_equal(config->idle_s, 5400);
	assert_true(config->swap_allowed);
	assert_string_equal(config->safe_policy, "/srv/sauti/who.policy");
	assert_int_equal(config->peer_count, 2);
	assert_string_equal(config->peers[0].name, "hq");
	assert_string_equal(config->peers[0].address, "192.0.2.1:7483");
	assert_string_equal(config->peers[1].name, "auditor");
	assert_string_equal(config->peers[1].address, "");
	assert_int_equal(config->timing.dial_min, 50);
	assert_int_equal(config->timing.dial_max, 300000);
	assert_int_equal(config->timing.have_delay, 20);
	assert_int_equal(config->timing.cosigned_delay, 90000);
	assert_int_equal(config->timing.fetch_timeout, 1000);
	assert_int_equal(config->timing.hello_timeout, 10000);
	assert_int_equal(config->timing.idle_ping, 1000);
	assert_int_equal(config->timing.idle_close, 3000);
}

/* What is written is read back the same. */
static void test_round_trip(void **state)
{
	struct node_config config, again;
	struct errctx ctx;
	struct buf text;

	(void)state;
	buf_init(&text, LIMIT_CONFIG_SIZE);
	assert_ok(parse(everything, &config, &ctx));
	check_everything(&config);
	config_write(&config, &text);
	assert_ok(text.err);
	assert_ok(parse(buf_cstr(&text), &again, &ctx));
	check_everything(&again);
	config_release(&config);
	config_release(&again);

	buf_clear(&text);
	assert_ok(config_init(&config, "/srv/sauti/sauti.conf", &ctx));
	strcpy(config.name, "hq");
	config.listen[0] = '\0';
	config_write(&config, &text);
	assert_ok(parse(buf_cstr(&text), &again, &ctx));
	assert_string_equal(again.listen, "");
	assert_string_equal(again.directory, "/srv/sauti");
	config_release(&config);
	config_release(&again);
	buf_release(&text);
}

static void test_idle(void **state)
{
	static const struct {
		const char *text;
		unsigned seconds;
	} cases[] = {{"0", 0}, {"10s", 10}, {"15 min", 900}, {"15m", 900}, {"24h", 86400},
		{"86400 s", 86400}, {"1  h", 3600}};
	struct node_config config;
	struct errctx ctx;
	char text[100];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf written;

		snprintf(text, sizeof(text), "[node]\nname = hq\n[lock]\nidle = %s\n",
			cases[i].text);
		assert_ok(parse(text, &config, &ctx));
		assert_int_equal(config.idle_s, cases[i].seconds);
		buf_init(&written, LIMIT_CONFIG_SIZE);
		config_write(&config, &written);
		config_release(&config);
		assert_ok(parse(buf_cstr(&written), &config, &ctx));
		assert_int_equal(config.idle_s, cases[i].seconds);
		config_release(&config);
		buf_release(&written);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "/srv/sauti/sauti.conf: the node has no name"},
		{"[node]\nname = Haiti\n",
			"sauti.conf:2: name: no node name; allowed: a lower-case"},
		{"[node]\nname = hq-\n", "sauti.conf:2: name: no node name"},
		{"[node]\nnetwork = example\n", "sauti.conf:2: network: no network name"},
		{"[node]\nname = hq\n\n[peer hq]\n", "sauti.conf:4: [peer hq]: 'hq' is this node"},
		{"[peer hq]\n[node]\nname = hq\n", "[peer hq] is this node itself"},
		{"[lock]\nidle = 9 s\n", "sauti.conf:2: idle: found \"9 s\"; allowed: a whole"},
		{"[lock]\nidle = 25h\n", "from 10 s to 24 h; or 0 for never"},
		{"[lock]\nidle = 86401s\n", "sauti.conf:2: idle: found"},
		{"[lock]\nidle = 00\n", "sauti.conf:2: idle: found"},
		{"[lock]\nidle = 0s\n", "sauti.conf:2: idle: found"},
		{"[lock]\nidle = 15\n", "sauti.conf:2: idle: found"},
		{"[lock]\nidle = 15 min.\n", "sauti.conf:2: idle: found"},
		{"[lock]\nidle = 99999999999999999999h\n", "sauti.conf:2: idle: found"},
		{"[lock]\nunencrypted_swap = yes\n",
			"unencrypted_swap: found \"yes\"; allowed: refuse, allow"},
		{"[peer HQ]\n", "sauti.conf:1: [peer HQ]: \"HQ\" is no node name"},
		{"[peer a]\n[peer a]\n", "sauti.conf:2: section [peer a] is there twice"},
		{"[peer a]\naddress = hq.example:1\n", "sauti.conf:2: address: no numeric address"},
		{"[peer a]\naddress = 192.0.2.1:0\n",
			"sauti.conf:2: address: port 0 cannot be dialled"},
		{"[listen]\naddress = 192.0.2.1\n", "sauti.conf:2: address: no numeric address"},
		{"[listen]\naddress = 192.0.2.1:65536\n", "no number from 0 to 65535"},
		{"[listen]\naddress = ::1:80\n", "no numeric address"},
		{"[listen]\naddress = [::1:80\n", "no numeric address"},
		{"[listen]\naddress = [127.0.0.1]:80\n", "no numeric address"},
		{"[node]\nadvertise = hq.example:7483\n", "sauti.conf:2: advertise: "},
		{"[escrow]\ncustodians = Kenya\n", "\"Kenya\" is no node's name"},
		{"[escrow]\ncustodians = kenya peru\n", "separated by commas"},
		{"[escrow]\ncustodians = kenya, hq, kenya\n", "'kenya' twice"},
		{"[node]\nadvertise = 192.0.2.1:0\n", "sauti.conf:2: advertise: "},
		{"[node]\nadvertise = 0.0.0.0:7483\n", "every address of this machine"},
		{"[node]\nadvertise = 192.0.2.1:1, [::]:7483\n", "every address of this machine"},
		{"[node]\nadvertise = 192.0.2.1:1,,192.0.2.2:1\n", "sauti.conf:2: advertise: "},
		{"[node]\nadvertise = 192.0.2.1:1 192.0.2.2:1\n", "separated by commas"},
		{"[public]\ngroup = two words\n",
			"sauti.conf:2: group: found \"two words\"; allowed: the name of a group"},
		{"[public]\nlogs = some\n", "found \"some\"; allowed: all, directory, none"},
		{"[public]\nmode = 0666\n", "sauti.conf:2: "},
		{"[listen]\nalpn = a,,b\n", "sauti.conf:2: alpn: a protocol name has 1 to 63"},
		{"[listen]\nalpn = a b\n", "printable ASCII and no space"},
		{"[listen]\nalpn = sauti-join/1\n", "reserved for joining"},
		{"[store]\nmap_size = 1023KiB\n",
			"sauti.conf:2: map_size: found \"1023KiB\"; allowed: a whole number with "
			"KiB, MiB or GiB, from 1024 KiB to 16384 GiB"},
		{"[store]\nmap_size = 16385GiB\n", "sauti.conf:2: map_size: found"},
		{"[store]\nreserve = 64\n", "sauti.conf:2: reserve: found \"64\"; allowed:"},
		{"[store]\nreserve = 64MB\n", "sauti.conf:2: reserve: found"},
		{"[store]\nreserve = 99999999999GiB\n", "sauti.conf:2: reserve: found"},
		{"[seal]\ncompression = yes\n",
			"sauti.conf:2: compression: found \"yes\"; allowed: on, off"},
		{"[replication]\nhave_delay = 5\n",
			"sauti.conf:2: have_delay: found \"5\"; allowed"},
		{"[replication]\nhave_delay = 0s\n", "have_delay: found \"0s\""},
		{"[replication]\nhave_delay = -1s\n", "have_delay: found \"-1s\""},
		{"[replication]\nhave_delay = 61m\n", "have_delay: found \"61m\""},
		{"[replication]\nhave_delay = 99999999999999999999s\n", "have_delay: found"},
		{"[replication]\nhave_delay = 1.5s\n", "have_delay: found"},
		{"[replication]\nhave_delay = 1d\n", "have_delay: found"},
		{"[replication]\ndial_retry_max = 301s\n", "dial_retry_max: found"},
		{"[node]\nname = a\n[replication]\ndial_retry_min = 2s\ndial_retry_max = 1s\n",
			"dial_retry_min is larger than dial_retry_max"},
		{"[node]\nname = a\n[replication]\nidle_close = 20s\n",
			"idle_close is not larger than idle_ping (20000 and 30000 ms)"},
		{"[node]\nname = a\n[replication]\nidle_ping = 2s\nidle_close = 2s\n",
			"idle_close is not larger than idle_ping"},
		{"[node]\nname = a\nnmae = b\n", "sauti.conf:3: unknown key 'nmae' in [node]"},
	};
	struct node_config config;
	struct errctx ctx;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse(cases[i].text, &config, &ctx) != ERR_INVALID)
			fail_msg("accepted, or another error (%s): %s", ctx.text, cases[i].text);
		assert_says(ctx, cases[i].says);
		assert_null(config.peers);
	}
}

/* 8 protocol names pass, 9 do not; 512 peers pass, 513 do not; a name of 63, not 64. */
static void test_caps(void **state)
{
	char name64[65];
	struct node_config config;
	struct errctx ctx;
	struct buf text;

	(void)state;
	assert_ok(parse("[node]\nname = a\nadvertise = " EIGHT "\n", &config, &ctx));
	assert_string_equal(config.advertise[7], "[::1]:2");
	config_release(&config);
	assert_int_equal(parse("[node]\nname = a\nadvertise = " EIGHT ",[::1]:3\n", &config, &ctx),
		ERR_LIMIT);
	assert_ok(parse("[node]\nname = a\n[listen]\nalpn = 1,2,3,4,5,6,7,8\n", &config, &ctx));
	assert_string_equal(config.alpn[7], "8");
	config_release(&config);
	assert_int_equal(
		parse("[node]\nname = a\n[listen]\nalpn = 1,2,3,4,5,6,7,8,9\n", &config, &ctx),
		ERR_LIMIT);
	assert_says(ctx, "more than 8 protocol names");
#define SIXTEEN "a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p"
	assert_ok(parse("[node]\nname = z\n[escrow]\ncustodians = " SIXTEEN "\n", &config, &ctx));
	assert_string_equal(config.custodians[15], "p");
	config_release(&config);
	assert_int_equal(
		parse("[node]\nname = z\n[escrow]\ncustodians = " SIXTEEN ", q\n", &config, &ctx),
		ERR_LIMIT);
	assert_says(ctx, "more than 16 nodes");

	memset(name64, 'n', 64);
	name64[64] = '\0';
	buf_init(&text, LIMIT_CONFIG_SIZE);
	buf_printf(&text, "[node]\nname = a\n[listen]\nalpn = %s\n", name64 + 1);
	assert_ok(parse(buf_cstr(&text), &config, &ctx));
	config_release(&config);
	buf_clear(&text);
	buf_printf(&text, "[listen]\nalpn = %s\n", name64);
	assert_int_equal(parse(buf_cstr(&text), &config, &ctx), ERR_INVALID);

	buf_clear(&text);
	buf_put_str(&text, "[node]\nname = a\n");
	for (int i = 0; i < LIMIT_PEERS; i++)
		buf_printf(&text, "[peer p%d]\n", i);
	assert_ok(parse(buf_cstr(&text), &config, &ctx));
	assert_int_equal(config.peer_count, LIMIT_PEERS);
	assert_int_equal(config_add_peer(&config, "more", "", &ctx), ERR_LIMIT);
	config_release(&config);
	buf_put_str(&text, "[peer more]\n");
	assert_int_equal(parse(buf_cstr(&text), &config, &ctx), ERR_LIMIT);
	assert_says(ctx, "sauti.conf:515: [peer more]: more than 512 peers");
	buf_release(&text);
}

/* sun_path has 108 bytes: 107 characters pass. */
static void test_socket_length(void **state)
{
	struct node_config config;
	struct errctx ctx;
	char text[300];

	(void)state;
	for (int size = 106; size <= 108; size++) {
		snprintf(text, sizeof(text), "[node]\nname = a\n[control]\nsocket = /%0*d\n",
			size - 1, 0);
		if (size <= 107) {
			assert_ok(parse(text, &config, &ctx));
			assert_int_equal(strlen(config.socket), size);
			config_release(&config);
		} else {
			assert_int_equal(parse(text, &config, &ctx), ERR_LIMIT);
			assert_says(ctx, "more than 107 characters");
		}
	}
}

static void check_public(const char *said, const char *path)
{
	struct node_config config, again;
	struct errctx ctx;
	struct buf text;

	buf_init(&text, LIMIT_CONFIG_SIZE);
	buf_printf(&text, "[node]\nname = a\n%s", said);
	assert_ok(parse(buf_cstr(&text), &config, &ctx));
	assert_string_equal(config.public_socket, path);
	buf_clear(&text);
	config_write(&config, &text);
	assert_ok(parse(buf_cstr(&text), &again, &ctx));
	assert_string_equal(again.public_socket, path);
	config_release(&config);
	config_release(&again);
	buf_release(&text);
}

/* Beside the control socket, wherever that is; "none" is none, and stays so. */
static void test_public_socket(void **state)
{
	struct node_config config;
	struct errctx ctx;
	char text[400];

	(void)state;
	check_public("", "/srv/sauti/run/public.sock");
	check_public("[control]\nsocket = /run/x/c\n", "/run/x/public.sock");
	check_public("[public]\nsocket = none\n", "");
	check_public("[public]\nsocket = /run/sauti/public.sock\n", "/run/sauti/public.sock");
	check_public("[public]\nlogs = none\n", "/srv/sauti/run/public.sock");
	assert_int_equal(
		parse("[node]\nname = a\n[control]\nsocket = /r/public.sock\n", &config, &ctx),
		ERR_INVALID);
	assert_says(ctx, "[public] socket is the control socket");
	for (int size = 107; size <= 108; size++) {
		snprintf(text, sizeof(text), "[node]\nname = a\n[public]\nsocket = /%0*d\n",
			size - 1, 0);
		assert_int_equal(parse(text, &config, &ctx), size == 107 ? OK : ERR_LIMIT);
		config_release(&config);
	}
	assert_says(ctx, "set [public] socket to a shorter one");
	for (int size = 32; size <= 33; size++) { /* a group's name, and one letter more */
		snprintf(text, sizeof(text), "[node]\nname = a\n[public]\ngroup = %0*d\n", size, 0);
		assert_int_equal(parse(text, &config, &ctx), size == 32 ? OK : ERR_INVALID);
		config_release(&config);
	}
}

static void test_add_peer(void **state)
{
	struct node_config config;
	struct errctx ctx;

	(void)state;
	assert_ok(config_init(&config, "x.conf", &ctx));
	assert_ok(config_add_peer(&config, "hq", "[2001:db8::1]:7483", &ctx));
	assert_int_equal(config_add_peer(&config, "hq", "", &ctx), ERR_EXISTS);
	assert_int_equal(config_add_peer(&config, "b", "nowhere:1", &ctx), ERR_INVALID);
	assert_int_equal(config.peer_count, 1);
	config_release(&config);
}

static void test_load(void **state)
{
	struct node_config config;
	struct errctx ctx;

	(void)state;
	assert_int_equal(config_load(in_dir("none.conf"), &config, &ctx), ERR_NOTFOUND);
	assert_says(ctx, "none.conf");
	put_file(in_dir("a.conf"), "[node]\nname = a\n", 0644);
	assert_ok(config_load(in_dir("a.conf"), &config, &ctx));
	assert_string_equal(config.directory, test_dir);
	config_release(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_socket_length),
		cmocka_unit_test(test_public_socket),
		cmocka_unit_test(test_add_peer),
		cmocka_unit_test_setup_teardown(test_load, test_dir_make, test_dir_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
